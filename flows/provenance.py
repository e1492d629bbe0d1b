"""With what a run was made: the code's commit and the versions of the packages at its heart."""

import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("muses-eval", "ray", "vllm", "pyarrow", "duckdb", "polars", "boto3", "prefect", "aiohttp")


@dataclass(frozen=True, slots=True)
class Code:
    """The state of the code that runs."""

    commit: str | None
    """None when it does not run from a repository."""
    dirty: bool


def code_state(root: Path) -> Code:
    """The commit that *root* is at, and whether its files differ from it."""
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return Code(commit, bool(changes))


def package_versions() -> dict[str, str]:
    """Installed versions; packages that are not installed are left out."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str | None:
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
