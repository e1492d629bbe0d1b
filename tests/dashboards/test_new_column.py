"""A new leaderboard column needs one entry in pipeline/leaderboard_columns.py and no other change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dashboards.web.site import store_of
from tests.storage.samples import scored

ROOT = Path(__file__).parents[2]
ENTRY = """
    Column(
        name="queue_ndcg",
        family="queue",
        metric="ndcg",
        title="queue NDCG",
        heading=("Queue", "NDCG"),
        latex="Queue NDCG",
        paper=None,
    ),
)

COLUMNS:"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Returns place -> text, rendered by the package with a sixth column."""
    folder = tmp_path_factory.mktemp("sixth")
    _package_with_entry(folder)
    episodes = [
        scored((model, n), {"f1": 0.5, "ndcg": ndcg}, model=model, scenario_id=f"queue-{n}", num_users=3)
        for model, ndcg in (("model-a", 0.75), ("model-b", 0.25))
        for n in range(8)
    ]
    store = store_of(folder / "store", episodes).store_url
    done = subprocess.run(
        [sys.executable, "-m", "tests.dashboards.rendered_columns", store],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_it_reaches_sql(places: dict[str, str]) -> None:
    """The views have the column with its standard error, and count it in the average and in the figures."""
    header, *rows = places["view leaderboard"].splitlines()
    assert {"queue_ndcg", "queue_ndcg_se", "avg"} <= set(header.split())
    assert len(rows) == 2
    assert "ndcg" in places["view leaderboard_columns"]
    assert "ndcg" in places["view by_num_users"]


def test_it_reaches_every_text_table(places: dict[str, str]) -> None:
    """Each table has the column by its heading or its name, without values of the paper."""
    for form in ("table", "md", "latex"):
        assert "NDCG" in places[f"leaderboard as {form}"]
    for record in json.loads(places["leaderboard as json"]):
        expected = {"model-a": 0.75, "model-b": 0.25}.get(record["model"]) if record["source"] == "ours" else None
        assert record["queue_ndcg"] == expected
    assert "queue_ndcg,queue_ndcg_se" in places["leaderboard as csv"].partition("\n")[0]
    assert "queue NDCG" in places["comparison"]
    assert "model-a is better at: queue NDCG" in places["comparison"]
    assert "queue NDCG" in places["ranking"]


def test_it_reaches_the_pages(places: dict[str, str]) -> None:
    for page in ("runs/run-a/index.html", "history.html", "runs/run-a/compare/model-a/model-b.html"):
        assert "NDCG" in places[page], page


def test_an_average_of_other_columns_does_not_stand_beside_the_papers(places: dict[str, str]) -> None:
    assert (
        "model-a: average not shown, because it is over 2 columns, not the paper's 5" in places["leaderboard as table"]
    )


def test_no_other_file_names_a_column() -> None:
    """A name that is used only for a column occurs only in its declaration."""
    folders = ("pipeline", "storage", "workers", "flows", "dashboards")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sql", ".html")
    ]
    named = {path.name for path in files if "meeting_success" in path.read_text(encoding="utf-8")}
    assert named == {"leaderboard_columns.py"}


def _package_with_entry(folder: Path) -> None:
    """Links the package into *folder*, with one more entry in the declaration of the columns."""
    source = ROOT / "infra" / "package" / "muses_eval"
    package = folder / "muses_eval"
    (package / "pipeline").mkdir(parents=True)
    for path in (*source.iterdir(), *(ROOT / "pipeline").iterdir()):
        link = package / (path.name if path.parent == source else f"pipeline/{path.name}")
        if path.name not in ("pipeline", "leaderboard_columns.py", "__pycache__"):
            link.symlink_to(path.resolve())
    declared = (ROOT / "pipeline" / "leaderboard_columns.py").read_text(encoding="utf-8")
    assert declared.count("\n)\n\nCOLUMNS:") == 1
    target = package / "pipeline" / "leaderboard_columns.py"
    target.write_text(declared.replace("\n)\n\nCOLUMNS:", ENTRY), encoding="utf-8")
