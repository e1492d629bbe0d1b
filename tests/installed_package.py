"""Puts a package where installed packages are found, without an installer.

A folder with the package's modules and its metadata (``NAME-VERSION.dist-info``) is what an installer leaves; it only
has to be on the module path of a process.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, pyproject: str, modules: Mapping[str, str]) -> Path:
    """Installs a package into a folder, and returns the folder.

    Args:
        folder: created if missing; it may have other packages.
        pyproject: text of ``pyproject.toml``, from which name, version and entry points are taken.
        modules: path -> text of each file.
    """
    project = tomllib.loads(pyproject)["project"]
    name, version = project["name"], project["version"]
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    for path, text in modules.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def run_with(site: Path, folder: Path, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own, which has the folder *site* on its module path, in another folder."""
    path = os.pathsep.join((str(site), os.environ["PYTHONPATH"]))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def one_entry(name: str, group: str, key: str, target: str) -> str:
    """Returns the text of a ``pyproject.toml`` with one entry point."""
    return f'[project]\nname = "{name}"\nversion = "0.1"\n[project.entry-points."{group}"]\n{key} = "{target}"\n'
