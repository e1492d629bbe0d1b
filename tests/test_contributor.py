"""The tests neither read nor change a contributor's environment: exported variables, stores, the home folder."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROBE = ROOT / "tests" / "flows" / "environment_probe.py"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_exported_store_is_left_untouched(tmp_path: Path) -> None:
    """The probe's fixture plays a run without naming a store, and the exported store does not change."""
    home, store, work = (tmp_path / name for name in ("home", "store", "work"))
    for folder in (home / ".aws", home / ".prefect", store, work):
        folder.mkdir(parents=True)
    (home / ".aws" / "credentials").write_text("not a file of credentials")
    (home / ".prefect" / "profiles.toml").write_text("not a file of profiles")
    (store / "mine").write_text("what has been played")
    exported = {
        "HOME": str(home),
        "MUSES_HOME": str(store),
        "MUSES_STORE": str(store),
        "AWS_PROFILE": "mine",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_HOME": str(home / ".prefect"),
        "RAY_ADDRESS": "127.0.0.1:9",
    }
    before = contents(home), contents(store)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}  # xdist workers too
    command = (sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--rootdir", str(ROOT))
    done = subprocess.run(
        [*command, "--basetemp", str(work / "temp"), str(PROBE)],
        cwd=ROOT,
        env={**mine, **exported},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (contents(home), contents(store)) == before
