"""The package of docs/new_family.md adds a family from outside: it is installed, run, tabulated, and also removed."""

import asyncio
import hashlib
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest
from muses_eval.dashboards.tables.leaderboard import render_leaderboard
from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline import families
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.families.family_package import FamilyPackage, checked_package
from muses_eval.pipeline.families.reply_format import ReplyFieldError
from muses_eval.pipeline.plugins import PluginError
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, to_json
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.query.duckdb_connection import connect

from tests.installed_package import install, one_entry, run_with
from tests.released import STAND_IN

PAGE = (Path(__file__).parents[2] / "docs" / "new_family.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`[^\n]*:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
"""Path -> text of each file of the page."""
REPORT = """
import json
from muses_eval.dashboards.tables.leaderboard import leaderboard_records, render_leaderboard
from muses_eval.flows.cli import main
from muses_eval.flows.doctor.plugin_checks import package_checks
from muses_eval.flows.job.provenance import package_versions
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.query.duckdb_connection import connect

models = [f"--model=scripted/{kind}" for kind in ("oracle", "compliant", "refuse", "random")]
assert main(["run", *models, "--family=ballot", "--dataset=generated:40", "--store=store"]) == 0
with connect("store") as connection:
    rows = leaderboard(connection)
    view = connection.execute("SELECT model, num_users, accuracy, episodes FROM ballot_by_winner ORDER BY model")
    found = {
        "view": view.fetchall(),
        "latex": render_leaderboard(rows, "latex"),
        "records": [record for record in leaderboard_records(rows) if record["source"] == "ours"],
        "doctor": [[check.what, check.ok, check.detail] for check in package_checks()],
        "version": package_versions()["muses-ballot"],
        "generated": generate_dataset("4", 0).version,
    }
print(json.dumps(found))
"""
"""Plays the family, and prints all that a package adds as one line of JSON, after the leaderboard."""


BROKEN = """
import json
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.query.duckdb_connection import connect

config = {"models": ["scripted/oracle"], "dataset": "generated:1"}
played = parse_config({**config, "families": ["queue"]}, "test").families
with connect("empty") as connection:
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
try:
    parse_config({**config, "families": ["none"]}, "test")
except ConfigError as error:
    print(json.dumps([played, [name for (name,) in views], str(error)]))
"""
"""Prints the families of a valid config, the views of an empty store, and the refusal of a broken package."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Returns a folder in which the page's package is installed."""
    modules = {path: text for path, text in FILES.items() if path.startswith("muses_ballot/")}
    assert len(modules) == 3
    return install(tmp_path / "site", FILES["pyproject.toml"], modules)


@pytest.fixture
def ballot(site: Path, monkeypatch: pytest.MonkeyPatch) -> FamilyPackage:
    """Returns the package of the page, imported in this process, with its family in FAMILIES."""
    monkeypatch.syspath_prepend(site)
    from muses_ballot.family import PACKAGE  # type: ignore[import-not-found]

    monkeypatch.setitem(cast("dict[str, Family[Any]]", families.FAMILIES), "ballot", PACKAGE.family)
    return cast("FamilyPackage", PACKAGE)


def test_an_installed_package_is_a_family(site: Path, tmp_path: Path) -> None:
    """It is played, scored, in the leaderboard with its column and in SQL with its view; datasets stay as they were."""
    done = run_with(site, tmp_path, REPORT)
    assert done.returncode == 0, done.stderr
    *table, last = done.stdout.splitlines()
    assert any("ballot acc" in line for line in table)
    found = json.loads(last)
    means = {record["model"]: record["ballot_accuracy"] for record in found["records"]}
    assert means["scripted/oracle"] == 1.0
    assert means["scripted/refuse"] == 0.0
    assert means["scripted/compliant"] == pytest.approx(1 / 3, abs=0.25)  # the first speaker ranks highest in a third
    assert 0.0 < means["scripted/random"] < 1.0
    assert found["view"] == [[model, 3, mean, 40] for model, mean in sorted(means.items())]
    assert "Ballot acc." in found["latex"]
    assert found["doctor"] == [
        [
            "family ballot",
            True,
            "muses-ballot 0.1 · columns ballot_accuracy · views ballot_by_winner · https://example.org/muses-ballot",
        ]
    ]
    assert found["version"] == "0.1"
    assert found["generated"] == generate_dataset("4", 0).version
    with connect(str(tmp_path / "store")) as connection:  # this process does not have the package
        without = render_leaderboard(leaderboard(connection), "table")
    assert "scripted/oracle" in without
    assert "ballot acc" not in without


def test_packages_that_cannot_be_used_are_named_and_left_out(site: Path, tmp_path: Path) -> None:
    """Each one is reported with the reason, other families are played, and a config that names it is refused."""
    (site / "muses_ballot" / "ballot_by_winner.sql").write_text("SELECT nothing FROM nowhere", encoding="utf-8")
    for name, key, target in (
        ("muses-none", "none", "muses_none:PACKAGE"),
        ("muses-taken", "queue", "json:loads"),
        ("muses-one", "twice", "json:loads"),
        ("muses-two", "twice", "json:dumps"),
        ("muses-other", "other", "json:loads"),
    ):
        install(site, one_entry(name, "muses_eval.families", key, target), {})
    done = run_with(site, tmp_path, BROKEN)
    assert done.returncode == 0, done.stderr
    played, views, refusal = json.loads(done.stdout)
    assert played == ["queue"]
    assert "leaderboard" in views
    assert "ballot_by_winner" not in views
    assert "the view ballot_by_winner of an installed family is left out: Catalog Error" in done.stderr
    for package, reason in (
        ("muses-none 0.1", "ModuleNotFoundError: No module named 'muses_none'"),
        ("muses-taken 0.1", "the name is taken by one that is built in"),
        ("muses-one 0.1", "the package muses-two 0.1 has the same name"),
        ("muses-two 0.1", "the package muses-one 0.1 has the same name"),
        ("muses-other 0.1", "expected a FamilyPackage (muses_eval.pipeline.families.family_package), got"),
    ):
        assert re.search(f"{re.escape(package)} .* is left out: .*{re.escape(reason)}", done.stderr), reason
    assert "no family 'none'; there are queue, instruct, access, meeting, ballot; the family 'none'" in refusal
    assert "No module named 'muses_none'" in refusal


def test_an_object_that_is_no_family_is_refused_with_what_is_missing(ballot: FamilyPackage) -> None:
    assert checked_package("ballot", ballot) is ballot

    class Partial:
        name = "ballot"
        metrics = ("accuracy",)

    class Endless(type(ballot.family)):  # type: ignore[misc]
        max_turns = 0

    (column,) = ballot.columns
    for package, words in (
        (ballot.family, "expected a FamilyPackage .*, got an object of type BallotFamily"),
        (replace(ballot, family=Partial()), "Partial is not a Family: it lacks max_turns, .*score_case"),
        (
            replace(ballot, family=type(ballot.family)),
            r"class BallotFamily; expected an object, as BallotFamily\(\)",
        ),
        (replace(ballot, family=Endless()), "the max_turns of its family is 0"),
        (replace(ballot, columns=(replace(column, name="accuracy"),)), "needs a name such as ballot_accuracy"),
        (replace(ballot, columns=(replace(column, name="ballot_se"),)), "ends in _se"),
        (replace(ballot, columns=(replace(column, metric="f1"),)), "has the metrics accuracy, parse_ok"),
        (replace(ballot, columns=(replace(column, paper="queue_f1"),)), "a column of the paper"),
        (replace(ballot, views={"ballot_x; DROP": ""}), "the view .* needs a name"),
    ):
        with pytest.raises(PluginError, match=words):
            checked_package("ballot", package)
    with pytest.raises(PluginError, match="its family has the name 'ballot'; the entry point needs the same name"):
        checked_package("poll", ballot)


def test_agents_reply_to_it_in_fields(ballot: FamilyPackage) -> None:
    """A reply in fields becomes the text that it reads; a field that it does not read is refused."""
    family = cast("Family[Any]", ballot.family)
    scenario = family.read(next(iter(family.generate(1, 0))))
    won = TurnReply(decision={"winner": scenario.truth.winner})
    assert (
        family.score_case(scenario, {"raw_output": family.write_reply(scenario, won)}, "corrected")["accuracy"] == 1.0
    )
    assert [rule.name for rule in family.facts(scenario).precedence] == ["authority"]
    with pytest.raises(ReplyFieldError, match="everyone of the reply: this family has no place for it"):
        family.write_reply(scenario, TurnReply(everyone="X"))


def test_the_released_protocol_does_not_have_it(
    ballot: FamilyPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is refused before it starts."""
    pinned = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in asdict(STAND_IN).items()}
    monkeypatch.setattr("muses_eval.flows.job.load_protocol.PINNED", pinned)
    monkeypatch.chdir(tmp_path)
    Path("official").mkdir()
    Path("official", FILE_NAME).write_text(to_json(STAND_IN), encoding="utf-8")
    raw = {"models": ["scripted/oracle"], "families": ["ballot"], "dataset": "generated:4", "protocol": "released"}
    config = parse_config({**raw, "store": "s"}, "test")
    with pytest.raises(MusesError, match="protocol: released has no family ballot; leave it out"):
        asyncio.run(evaluate(config, read_settings({})))
    assert not Path("s").exists()
