"""The wheel is one package with all its data, and works in a folder with packages of the same names as ours."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.prefect_server import PrefectServer

ROOT = Path(__file__).parent.parent
FOLDERS = ("pipeline", "storage", "workers", "flows", "dashboards")
DATA = (".sql", ".html", ".css", ".js", ".svg", ".toml", ".csv", ".json", ".yaml", ".parquet")

Installed = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a program of the wheel's environment in a folder."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, env=without_checkout())
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which sees the libraries of this environment but not the checkout.

    Python searches a path from a ``.pth`` file for packages but not for further ``.pth`` files.  The editable
    installation of the checkout is such a file, so it stays hidden.
    """
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True, env=without_checkout())
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder


@pytest.fixture
def installed(environment: Path, project: Path) -> Installed:
    """Runs a program of that environment in the project's folder; keyword arguments are environment variables."""

    def run(program: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(environment / "bin" / program), *arguments],
            cwd=project,
            env={**without_checkout(), **variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with packages named like our folders, each of which raises when it is imported."""
    for name in FOLDERS:
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text(f"raise RuntimeError('the project\\'s own {name} was imported')\n")
    run = {"models": ["scripted/oracle"], "dataset": "generated:2", "families": ["queue"], "name": "mine"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**run, "store": str(tmp_path / "store")}))
    return tmp_path


def without_checkout() -> dict[str, str]:
    """Returns the environment without PYTHONPATH, by which the processes of tests find the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def scored(done: "subprocess.CompletedProcess[str]") -> int:
    assert done.returncode == 0, done.stderr
    count: int = json.loads(done.stdout)["episodes"]["scored"]
    return count


def test_a_wheel_installs_one_package(wheel: Path) -> None:
    """The wheel has one top-level package, which contains all data files of the five folders."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"muses_eval"}
    kept = subprocess.run(("git", "-C", str(ROOT), "ls-files", *FOLDERS), capture_output=True, text=True, check=True)
    tracked = {f"muses_eval/{name}" for name in kept.stdout.splitlines()}
    assert tracked
    assert tracked - set(names) == set()
    (entry_points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    declared = zipfile.ZipFile(wheel).read(entry_points).decode().splitlines()
    assert "told+guard = muses_eval.pipeline.agents.guard:ToldGuard" in declared
    assert {"muses_eval/prefect.yaml", "muses_eval/__main__.py", "muses_eval/py.typed"} <= set(names)


def test_the_checkout_is_not_in_reach(installed: Installed, environment: Path) -> None:
    """The checkout is hidden; otherwise the tests below would not test the wheel."""
    done = installed("python", "-c", "import muses_eval.flows.cli as cli; print(cli.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(environment), done.stderr


@pytest.mark.parametrize("program", [("muses",), ("python", "-m", "muses_eval")], ids=["muses", "python -m"])
def test_runs_in_a_folder_with_packages_of_its_own(installed: Installed, program: tuple[str, ...]) -> None:
    assert scored(installed(*program, "run", "run.yaml", "--executor", "inline", "--json")) == 2


@pytest.mark.slow
@pytest.mark.integration
def test_runs_on_ray_in_a_folder_with_packages_of_its_own(installed: Installed) -> None:
    assert scored(installed("muses", "run", "run.yaml", "--executor", "ray", "--workers", "1", "--json")) == 2


@pytest.mark.slow
@pytest.mark.integration
def test_the_demo_runs(installed: Installed) -> None:
    """The demo runs through Prefect's embedded server and a local Ray, and prints its leaderboard."""
    done = installed("muses", "flow", "evaluate", str(ROOT / "infra" / "demo.yaml"))
    assert done.returncode == 0, done.stderr
    assert "scripted/oracle (ceiling)" in done.stdout


@pytest.mark.slow
@pytest.mark.integration
def test_a_deployed_flow_runs_in_a_folder_with_packages_of_its_own(
    installed: Installed, project: Path, prefect: PrefectServer
) -> None:
    """``muses deploy`` uses the deployment file in the wheel, and a Prefect worker in the folder plays the run."""
    done = installed("muses", "deploy", "run.yaml", "--json", PREFECT_API_URL=prefect.url)
    assert done.returncode == 0, done.stderr
    with prefect.worker("muses", {"PYTHONPATH": ""}):
        ended = prefect.wait_for_end(prefect.run_deployment("evaluate/mine"))
    assert ended.is_completed(), prefect.worker_log
    query = "select count(*) as n from episodes"
    rows = installed("muses", "sql", query, "--store", str(project / "store"), "--format", "json")
    assert json.loads(rows.stdout) == [{"n": 2}], rows.stderr
