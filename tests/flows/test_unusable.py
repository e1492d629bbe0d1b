"""A model whose replies are unusable is shown with their share and kind, and not ranked."""

import json
import re
import shlex
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest
from muses_eval.dashboards.web.server import make_app
from muses_eval.dashboards.web.store_cache import StoreCache
from starlette.testclient import TestClient

from tests.conftest import Muses
from tests.provider import Provider, Response, completion, refused

KINDS = {
    "unreadable": completion("asdf jkl; 1234"),
    "empty": completion(None, reasoning_content="Bo must not know."),
    "truncated": completion('{"target": "all", "con', "length"),
    "filtered": completion("", "content_filter"),
    "overflowed": refused(400, "too long", "context_length_exceeded"),
}


def _played(
    muses: Muses, answers: Iterator[Response], *options: str, code: int = 3
) -> tuple[dict[str, object], list[str]]:
    """Plays one scenario of every family; returns the row of the model, and the lines on stderr.

    *code*: the exit code, which is 3 for a run without a usable model, although the oracle has its scores.
    """
    with Provider(script=answers) as provider:
        model = ("--model=openai:m", "--base-url", provider.base_url)
        done = muses("run", *model, "--model=scripted/oracle", "--dataset=generated:1", "--json", *options)
    assert done.returncode == code, done.stderr
    rows = {row["model"]: row for row in json.loads(done.stdout)["leaderboard"]}
    oracle = rows["scripted/oracle"]
    assert (oracle["rank"], oracle["coverage"], oracle["unusable_share"]) == (None, 1.0, 0.0)
    return rows["m"], done.stderr.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_gives_nothing_usable_has_no_rank(muses: Muses, kind: str) -> None:
    """In every family, each reply counts under its kind; the row has its scores, full coverage and no rank."""
    row, errors = _played(muses, repeat(KINDS[kind]), "--family=queue", "--family=instruct", "--family=access")
    assert (row["coverage"], row["ranked"], row["rank"]) == (1.0, False, None)
    assert (row["unusable_share"], row[f"{kind}_share"]) == (1.0, 1.0)
    every = "100 % of its replies in access, 100 % of its replies in instruct and 100 % of its replies in queue"
    assert row["unusable_excess"] == f"{every} are unusable, and at most 20 % may be"
    (notice,) = (line for line in errors if line.startswith("  m: "))
    assert f"100 % of its replies are unusable, so it is not ranked; 100 % are {kind}" in notice
    assert errors[-1].startswith("No model is ranked: too many replies of every model are unusable")


def test_every_table_and_page_shows_it(muses: Muses, tmp_path: Path) -> None:
    """The table has a column and a reason, the page too, and the notice's command shows such an episode."""
    row, errors = _played(muses, repeat(KINDS["empty"]))
    assert row["unusable_share"] == row["empty_share"] == 1.0
    command = next(line for line in errors if "muses trace" in line).partition("one of them: ")[2]
    trace = muses(*shlex.split(command)[1:]).stdout
    assert "empty" in trace
    assert "Bo must not know." in trace
    table = muses("leaderboard").stdout
    assert re.search(r"^ *–  m .* 4/4 +100 % +100 %", table, re.MULTILINE)
    assert "m: unusable replies: empty 100 %; not ranked, because 100 % of its replies in access" in table
    assert "m is not ranked, because 100 % of its replies" in muses("leaderboard", "--bands").stdout
    share = "m: 100 % of its replies are unusable (empty 100 %)"
    assert f"caution: {share}" in muses("compare", "m", "oracle").stdout
    assert share in json.loads(muses("compare", "--all", "--format=json").stdout)["cautions"]
    lenient = json.loads(muses("leaderboard", "--max-unusable=1", "--format=json").stdout)
    assert {each["model"]: each["ranked"] for each in lenient} == {"scripted/oracle": False, "m": True}
    page = TestClient(make_app(StoreCache(str(tmp_path / ".muses" / "store"))), "http://127.0.0.1")
    shown = page.get(f"/runs/{row['run_id']}/index.html").text
    assert "m is not ranked, because 100 % of its replies" in shown
    assert "empty 100 %" in shown


def test_a_pilot_names_a_broken_model(muses: Muses) -> None:
    with Provider(script=repeat(KINDS["empty"])) as provider:
        model = ("--model=openai:m", "--base-url", provider.base_url, "--dataset=generated:4")
        planned = muses("plan", *model, "--family=queue", "--pilot=2")
    assert planned.returncode == 0, planned.stderr
    assert "m: 100 % of its replies are unusable, so it is not ranked; 100 % are empty" in planned.stderr
    assert re.search(r"^m +queue .* 4 +100 %$", planned.stdout, re.MULTILINE)


def test_the_threshold_is_that_of_the_configuration(muses: Muses) -> None:
    """A threshold that a run was started with holds for later tables of the run, too."""
    row, errors = _played(muses, repeat(KINDS["unreadable"]), "--family=queue", "--max-unusable=1", code=0)
    assert (row["ranked"], row["unusable_excess"]) == (True, None)
    assert any("m: 100 % of its replies are unusable; 100 % are unreadable" in line for line in errors)
    (again,) = (each for each in json.loads(muses("leaderboard", "--format=json").stdout) if each["model"] == "m")
    assert again["ranked"]
