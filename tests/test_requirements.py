"""pyproject.toml: everything that a user may ask for can be installed together, and the lock names no index."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, str]:
    """Returns the exact versions of the lock: package -> version."""
    lines = (ROOT / "infra" / "locks" / "dev.txt").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([\w.-]+)(?:\[.*?\])?==([\w.+!-]+)", line) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_dependencies_extras_and_tools_fit_into_one_environment() -> None:
    """`uv sync` resolves extras together with the dependencies, so one extra that excludes a dependency breaks it."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = (PROJECT["project"]["dependencies"], *extras, *PROJECT["dependency-groups"].values())
    versions = locked()
    for requirement in (Requirement(text) for group in groups for text in group):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)], prereleases=True)


def test_no_lock_names_an_index() -> None:
    assert "/uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8")
    for lock in (ROOT / "infra" / "locks").glob("*.txt"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock
