"""``muses flow nightly | maintain | status`` with a real Prefect server."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Muses
from tests.prefect_server import PrefectServer

CONFIG = {
    "models": ["scripted/oracle", "scripted/refuse"],
    "dataset": "generated:4",
    "families": ["queue", "access"],
    "store": "out",
    "nightly": {"canary": 2, "name": "board"},
    "maintain": {"retention": [{"name": "board-*", "days": 30}]},
}


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump(CONFIG))
    return "nightly.yaml"


def artifacts(server: PrefectServer, ending: str) -> dict[str, tuple[str, Any]]:
    """Returns key -> (type, data) of the artifacts whose key has this ending."""
    from prefect.client.schemas.filters import ArtifactFilter

    found = server.ask(lambda client: client.read_artifacts(artifact_filter=ArtifactFilter(), limit=200))
    return {each.key: (each.type, each.data) for each in found if (each.key or "").endswith(ending)}


@pytest.mark.slow
@pytest.mark.integration
def test_two_nights_and_their_upkeep(muses: Muses, prefect: PrefectServer, config: str, tmp_path: Path) -> None:
    """The second night reuses the cells of the first, and Prefect shows its leaderboard, table and link."""
    nights = []
    for day in ("2026-01-01", "2026-01-02"):
        done = muses("flow", "nightly", config, f"--date={day}", "--json", PREFECT_API_URL=prefect.url)
        assert done.returncode == 0, done.stderr
        nights.append(json.loads(done.stdout))
    assert [(night["cells_played"], night["cells_reused"]) for night in nights] == [(4, 0), (0, 4)]
    assert [row["model"] for row in nights[1]["leaderboard"]] == ["scripted/oracle", "scripted/refuse"]
    assert prefect.states("nightly")[-2:] == ["COMPLETED"] * 2
    found = artifacts(prefect, "-board-2026-01-02")
    assert found["leaderboard-board-2026-01-02"][0] == "markdown"
    kind, table = found["cells-board-2026-01-02"]
    assert kind == "table"
    rows = json.loads(table) if isinstance(table, str) else table
    assert {row["played in"] for row in rows} == {"board-2026-01-01"}
    kind, link = found["site-board-2026-01-02"]
    assert kind == "markdown"
    assert "site/runs/board-2026-01-02/index.html" in link

    told = muses("flow", "status", "--store=out", "--name=board")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["2026-01-02", "2026-01-01"]
    assert lines[2].split()[1:6] == ["sealed", "muses", "100", "%", "0"]

    upkeep = muses("flow", "maintain", config, "--json", PREFECT_API_URL=prefect.url)
    assert upkeep.returncode == 0, upkeep.stderr
    report = json.loads(upkeep.stdout)
    assert {check["run_id"] for check in report["checks"]} == {
        f"board{canary}-2026-01-0{day}" for canary in ("", "-canary") for day in (1, 2)
    }
    assert report["deleted"] == []
    assert prefect.states("maintain")[-1] == "COMPLETED"

    (sealed,) = (tmp_path / "out" / "sealed" / "run=board-2026-01-01").iterdir()
    sealed.write_bytes(b"no parquet")
    damaged = muses("flow", "maintain", config, PREFECT_API_URL=prefect.url)
    assert damaged.returncode == 2, damaged.stderr
    assert "4 runs read" in damaged.stdout
    assert "  board-2026-01-01: damaged: sealed/run=board-2026-01-01/" in damaged.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nightly", "nightly.yaml", "--date=yesterday"), "--date 'yesterday': expected a day such as 2026-11-23"),
        (("nightly", "nightly.yaml", "--date=2999-01-01"), "--date 2999-01-01: it is still"),
        (("nightly", "nightly.yaml", "--run-id=mine"), "run_id 'mine': nights are named board-<date>"),
        (("nightly", "missing.yaml"), "missing.yaml: cannot be read"),
        (("maintain", "missing.yaml"), "missing.yaml: cannot be read"),
    ],
)
def test_bad_usage(muses: Muses, config: str, arguments: tuple[str, ...], expected: str) -> None:
    """Bad usage is reported in one line before any server is started."""
    assert config
    done = muses("flow", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_night_yet(muses: Muses) -> None:
    done = muses("flow", "status", "--store=out")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no night nightly-<date>" in done.stderr
    assert json.loads(muses("flow", "status", "--store=out", "--json").stdout)["nights"] == []
