"""The docs and the code agree: everything the docs name exists, and every command and config key is documented."""

import ast
import configparser
import json
import pydoc
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.app import app
from muses_eval.flows.cli.init import EXAMPLE
from muses_eval.pipeline.config.grid import expand
from muses_eval.pipeline.config.parse import keys_of
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plugins import PluginGroup
from muses_eval.storage.objects.dataset_files import read_rows
from muses_eval.storage.query.duckdb_connection import VIEWS
from muses_eval.storage.schema.parquet_schema import SCHEMA

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
TRACES = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
SCORING = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(parent: object = app, prefix: str = "muses") -> list[str]:
    """Returns all commands, including those of groups."""
    found = []
    for name in parent:  # type: ignore[attr-defined]
        if name.startswith("-"):
            continue
        child = parent[name]  # type: ignore[index]
        inner = commands(child, f"{prefix} {name}")
        found += inner or [f"{prefix} {name}"]
    return found


def config_keys(section: type = RunConfig) -> set[str]:
    keys = keys_of(section)
    return set(keys).union(*(config_keys(inner) for inner in keys.values() if inner is not None))


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_reference(command: str) -> None:
    assert f"`{command}" in REFERENCE


@pytest.mark.parametrize("command", commands())
def test_help_shows_defaults_that_tell_something(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help does not print defaults such as False, None or an empty list."""
    main([*command.split()[1:], "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"Usage: {command}" in told
    assert re.findall(r"\[default: (?:\(.*?\)|False|None|)\]", told) == []


@pytest.mark.parametrize("key", sorted(config_keys()))
def test_every_config_key_is_in_the_reference(key: str) -> None:
    """It is also in the file that ``muses init`` writes."""
    assert f"`{key}`" in REFERENCE
    assert re.search(rf"\b{key}:", EXAMPLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", re.findall(r'env\.get\("(\w+)"\)', (ROOT / "flows" / "settings.py").read_text()))
def test_every_environment_variable_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in REFERENCE


@pytest.mark.parametrize("name", [*VIEWS, *SCHEMA.names, *OUTCOMES])
def test_every_view_column_and_outcome_is_explained(name: str) -> None:
    assert f"`{name}`" in TRACES


@pytest.mark.parametrize(
    ("family", "metric"), [(name, metric) for name, family in FAMILIES.items() for metric in family.metrics]
)
def test_every_metric_is_explained_in_its_familys_section(family: str, metric: str) -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", SCORING, re.MULTILINE | re.DOTALL))
    assert f"`{metric}`" in sections[family]


def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub generates for the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


EXAMPLES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, text in enumerate(
        re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), start=1
    )
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_yaml_examples_are_valid_configs(text: str) -> None:
    import yaml

    assert expand(yaml.safe_load(text), "the example")


def test_the_pages_have_examples() -> None:
    assert len(EXAMPLES) > 5


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[2:] if f"(docs/{page.name})" not in text] == []


@pytest.fixture(scope="module")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The store of the demo, played in this process; the executor does not change scores."""
    store = str(tmp_path_factory.mktemp("demo"))
    assert main(["run", str(ROOT / "infra" / "demo.yaml"), "--executor", "inline", "--store", store]) == 0
    return store


def test_the_readme_shows_what_the_demo_ends_with(demo_store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", "--format", "md", "--store", demo_store]) == 0
    table, _, _ = capsys.readouterr().out.partition("\n\n")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", ["scripted/compliant scripted/random", "--all"])
def test_the_page_on_statistics_shows_what_compare_prints(
    arguments: str, demo_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments.split(), "--store", demo_store]) == 0
    printed = capsys.readouterr().out
    assert f"$ muses compare {arguments}\n{printed}" in (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")


def named_paths() -> list[str]:
    """Returns the files and folders that a page names in code style, such as `storage/objects/`."""
    tops = "pipeline|storage|workers|flows|dashboards|infra|tests"
    return sorted({path for page in PAGES for path in re.findall(rf"`((?:{tops})/[\w/.-]+)`", page.read_text("utf-8"))})


@pytest.mark.parametrize("path", named_paths())
def test_every_file_that_a_page_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def named_objects() -> list[str]:
    """Returns the modules, classes and functions that a page names, such as `muses_eval.storage.scan`."""
    names = {name for page in PAGES for name in re.findall(r"muses_eval(?:\.\w+)+", page.read_text("utf-8"))}
    return sorted(names - set(get_args(PluginGroup)))


@pytest.mark.parametrize("name", named_objects())
def test_everything_that_a_page_names_can_be_imported(name: str) -> None:
    assert pydoc.locate(name) is not None


def bound_names(file: Path) -> set[str]:
    """All names that a module binds, those in its classes and functions included."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=asname):
                names.add(asname or name)
    return names


FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for folder in ("pipeline", "storage", "workers", "flows", "dashboards")
    for file in (ROOT / folder).rglob("*.py")
}


@cache
def bound() -> dict[str, set[str]]:
    """Returns the names that each module binds."""
    return {module: bound_names(file) for module, file in FILES.items()}


@cache
def all_names() -> set[str]:
    return set().union(*bound().values())


def exists(name: str) -> bool:
    """True for a module and for a name that it binds, such as storage.runs.manifest.RunManifest.run_id."""
    parent, _, last = name.rpartition(".")
    return name in FILES or (parent != "" and exists(parent) and last in bound().get(parent, all_names()))


def test_roles_in_docstrings_name_what_exists() -> None:
    """A name is full, or relative to the module or to its package.  No module is imported."""
    unresolved = []
    for module, file in FILES.items():
        for name in re.findall(r":(?:mod|class|func|meth|data|attr|exc):`~?\.?([\w.]+)`", file.read_text("utf-8")):
            full = name.removeprefix("muses_eval.")
            near = (f"{module}.{name}", f"{module.rpartition('.')[0]}.{name}")
            if not (exists(full) if full != name else any(map(exists, near)) or pydoc.locate(name)):
                unresolved.append((module, name))
    assert unresolved == []


def test_modules_in_the_changelog_exist() -> None:
    names = re.findall(r"muses_eval\.([\w.]*\w)", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert [name for name in names if not exists(name)] == []


def blocks(page: str, language: str) -> list[str]:
    """Returns the code blocks of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_recorded_replies_are_scored_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the section, and every form of a case in its table."""
    monkeypatch.chdir(tmp_path)
    (script,) = (block for block in blocks("scoring.md", "sh") if "muses score" in block)
    for line in script.splitlines():
        if line.startswith("muses "):
            assert main(shlex.split(line)[1:]) == 0
        else:
            subprocess.run(["bash", "-c", line], check=True)
    scenarios = dataset_from_rows("scenarios", read_rows("scenarios"))
    table = re.findall(r'^\| ([a-z, ]+) \| `(\{"case_id".*\})` \|$', SCORING, re.MULTILINE)
    assert len(table) == 4
    for families, case in table:
        for family in families.split(", "):
            identity = next(iter(scenarios.by_family[family]))
            Path("case.jsonl").write_text(case.replace('"ID"', json.dumps(identity)), encoding="utf-8")
            capsys.readouterr()
            assert main(["score", family, "--dataset", "scenarios", "--cases", "case.jsonl"]) == 0
            assert json.loads(capsys.readouterr().out)["case_id"] == json.loads(case)["case_id"]


def test_units_of_systemd_start_programs_of_the_environment() -> None:
    units = [configparser.ConfigParser(strict=False, interpolation=None) for _ in blocks("operate.md", "ini")]
    for unit, text in zip(units, blocks("operate.md", "ini"), strict=True):
        unit.read_string(text)
        program, *arguments = shlex.split(unit["Service"]["ExecStart"])
        assert Path(program).is_absolute()
        assert Path(sys.executable).with_name(Path(program).name).exists()
        assert arguments[1] == "start"
    assert len(units) == 2
