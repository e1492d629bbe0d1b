"""The folders depend on one another in one direction only, and each engine has one importer."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "pipeline": set(),
    "storage": {"pipeline"},
    "workers": {"pipeline", "storage"},
    "dashboards": {"pipeline", "storage"},
    # The top layer: flows publish the pages that dashboards render, and the command line is here.
    "flows": {"pipeline", "storage", "workers", "dashboards"},
}
ENGINE_IMPORTERS = {
    "boto3": {"storage/objects/s3_store.py"},
    "botocore": {"storage/objects/s3_store.py"},
    "ray": {
        "workers/coordinator/ray_actor.py",
        "workers/coordinator/ray_metrics.py",
        "workers/play/ray_executor.py",
        "workers/vllm/fleet.py",
        "workers/vllm/gpu_capacity.py",
        "workers/vllm/replica_actor.py",
        "workers/vllm/replica_set.py",
        "workers/vllm/server_discovery.py",
    },
    "prefect": {
        "flows/prefect_flows/artifacts.py",
        "flows/prefect_flows/deployment_file.py",
        "flows/prefect_flows/deployments.py",
        "flows/prefect_flows/evaluate_flow.py",
        "flows/prefect_flows/maintain_flow.py",
        "flows/prefect_flows/nightly_flow.py",
        "flows/prefect_flows/notifications.py",
        "flows/prefect_flows/server.py",
        "flows/prefect_flows/server_state.py",
        "flows/prefect_flows/sweep_flow.py",
        "flows/prefect_flows/tasks.py",
        "flows/prefect_flows/time_limits.py",
    },
    "jinja2": {"dashboards/web/render.py"},
    "fastapi": {"dashboards/web/server.py"},
    "uvicorn": {"flows/cli/dashboard.py"},
    "aiohttp": {"workers/agents/loopback.py", "workers/providers/http_client.py", "workers/rehearsal/server.py"},
}
PURE = {"pydantic", "cronsim"}
"""Libraries that pipeline/ may import at module level besides the standard library; they do no I/O."""

FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imported(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "muses_eval" and len(parts) > 1 else parts[0]


def imports(path: Path) -> list[tuple[str, bool]]:
    """Returns (package or top-level name, True at module level) of every import, including lazy and typing-only ones.

    ``muses_eval.storage.x`` counts as the package ``storage``.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(imported(alias.name), id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != "muses_eval" else [f"muses_eval.{each.name}" for each in node.names]
            found += [(imported(name), id(node) in top) for name in names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    own = {name for name, _ in imports(path)} & MAY_IMPORT.keys()
    assert own - {package} <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_engine_has_one_importer(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    wrong = {engine for engine, _ in imports(path) if name not in ENGINE_IMPORTERS.get(engine, {name})}
    assert not wrong


def test_pipeline_needs_no_engine() -> None:
    import sys

    third_party = {
        name
        for path in (ROOT / "pipeline").rglob("*.py")
        for name, at_top in imports(path)
        if at_top and name not in sys.stdlib_module_names and name != "pipeline"
    }
    assert third_party <= PURE
