"""With what a run was made."""

import subprocess
from importlib.metadata import version
from pathlib import Path

from flows.provenance import Code, code_state, package_versions


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    assert code_state(tmp_path) == Code(commit=None, dirty=False)


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code_state(tmp_path).commit is None


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_state(tmp_path) == Code(commit, dirty=False)
    (tmp_path / "notes.txt").write_text("not part of the code\n")
    assert code_state(tmp_path) == Code(commit, dirty=False)
    (tmp_path / "code.py").write_text("two\n")
    assert code_state(tmp_path) == Code(commit, dirty=True)


def test_a_broken_repository_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert code_state(tmp_path) == Code(commit=None, dirty=False)


def test_versions_are_those_that_are_installed() -> None:
    versions = package_versions()
    assert versions["duckdb"] == version("duckdb")
    assert {"ray", "prefect", "pyarrow"} <= versions.keys()
    assert all(versions.values())
