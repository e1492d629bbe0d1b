"""What the prose says is there, and what is there the prose says."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from flows.cli.app import app
from pipeline.config import RunConfig
from pipeline.episode import OUTCOMES
from pipeline.families import FAMILIES
from pipeline.grid import expand
from storage.schema import SCHEMA
from storage.sql import VIEWS

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
TRACES = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
SCORING = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(parent: object = app, prefix: str = "muses") -> list[str]:
    """All commands, those of groups included."""
    found = []
    for name in parent:  # type: ignore[attr-defined]
        if name.startswith("-"):
            continue
        child = parent[name]  # type: ignore[index]
        inner = commands(child, f"{prefix} {name}")
        found += inner or [f"{prefix} {name}"]
    return found


def config_keys(section: type[BaseModel] = RunConfig) -> set[str]:
    keys = set()
    for name, field in section.model_fields.items():
        keys.add(name)
        for model in re.findall(r"pipeline\.config\.(\w+)", str(field.annotation)):
            import pipeline.config

            keys |= config_keys(getattr(pipeline.config, model))
    return keys


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_reference(command: str) -> None:
    assert f"`{command}" in REFERENCE


@pytest.mark.parametrize("key", sorted(config_keys()))
def test_every_config_key_is_in_the_reference(key: str) -> None:
    assert f"`{key}`" in REFERENCE


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_examples_are_valid_configs(page: Path) -> None:
    import yaml

    for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        expand(yaml.safe_load(text), page.name)
