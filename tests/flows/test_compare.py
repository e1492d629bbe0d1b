"""``muses compare`` and ``muses leaderboard --bands``, over runs of the built-in agents and over synthetic scores."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muses_eval.dashboards.tables.detectable_difference import detectable_differences, render_detectable_differences
from muses_eval.flows.cli import main
from muses_eval.flows.cli.options import RunOptions, load_config
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.storage.analysis.power import Design, smallest_difference
from muses_eval.storage.objects.object_keys import ShardKey, manifest_key
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, scored

AGENTS = ("oracle", "compliant", "random", "refuse")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two runs over the same scenarios: ``first`` with all agents, ``second`` with two on one family."""
    url = str(tmp_path_factory.mktemp("compare") / "store")
    common = ("--dataset=generated:8", "--store", url)
    first = [f"--model=scripted/{agent}" for agent in AGENTS]
    assert main(["run", *first, "--family=queue", "--family=access", "--run-id=first", *common]) == 0
    second = [f"--model=scripted/{agent}" for agent in AGENTS[:2]]
    assert main(["run", *second, "--family=queue", "--run-id=second", *common]) == 0
    return url


class Cli:
    """Runs commands in this process."""

    def __init__(self, store: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._store, self._capsys = store, capsys

    def said(self, *arguments: str) -> str:
        self._capsys.readouterr()
        assert main([*arguments, "--store", self._store]) == 0
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.said(*arguments, "--format", "json"))
        return answer

    def refused(self, *arguments: str) -> str:
        self._capsys.readouterr()
        assert main([*arguments, "--store", self._store]) == 2
        out, err = self._capsys.readouterr()
        assert out == ""
        return err


@pytest.fixture
def cli(store: str, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(store, capsys)


def test_who_is_better_where(cli: Cli) -> None:
    """The output is a table of the common columns, and then the same result in words."""
    said = cli.said("compare", "scripted/oracle", "scripted/refuse", "--run", "first")
    lines = said.splitlines()
    assert lines[:2] == ["A  scripted/oracle (run first)", "B  scripted/refuse (run first)"]
    assert [line.split("  ")[0] for line in lines[4:8]] == ["queue F1", "privacy", "utility", "average of 3"]
    assert "scripted/oracle is better at: queue F1 (+100.0 ± 0.0), utility (+100.0 ± 0.0)" in lines
    assert "equal on every scenario: privacy" in lines
    assert "on the average of 3: scripted/oracle is ahead (+66.7 ± 0.0)" in lines
    assert "Holm over 3 columns" in lines[-1]
    turned = cli.said("compare", "scripted/refuse", "scripted/oracle", "--run", "first")
    assert "scripted/oracle is better at: queue F1 (+100.0 ± 0.0), utility (+100.0 ± 0.0)" in turned.splitlines()


def test_the_table_shows_what_json_says(cli: Cli) -> None:
    record = cli.json("compare", "scripted/compliant", "scripted/random", "--run=first", "--correction=bh")
    assert (record["scoring"], record["correction"], record["family"]) == ("published", "bh", None)
    assert record["a"] == {"run_id": "first", "model": "scripted/compliant"}
    queue = record["columns"][0]
    assert queue["column"] == "queue_f1"
    assert queue["difference"] == pytest.approx(queue["a"] - queue["b"])
    assert queue["low"] < queue["difference"] < queue["high"]
    assert queue["scenarios"] == queue["pairs"] == 8
    assert 0 < queue["p"] <= queue["p_adjusted"] <= 1
    row = cli.said("compare", "scripted/compliant", "scripted/random", "--run=first", "--correction=bh").splitlines()[4]
    assert f"{100 * queue['difference']:+.1f} ± {100 * queue['se']:.1f}" in row
    assert f"{100 * queue['low']:+.1f} to {100 * queue['high']:+.1f}" in row
    assert record["overall"]["column"] == "avg"
    assert record["cautions"] == []


def test_one_family_and_markdown(cli: Cli) -> None:
    said = cli.said("compare", "scripted/oracle", "scripted/random", "--run=first", "--family=queue", "--format=md")
    lines = said.splitlines()
    assert lines[0] == "- A  scripted/oracle (run first)"
    assert lines[3].startswith("|  | A | B | A - B | 95 % interval | p |")
    assert lines[5].startswith("| queue F1 | 100.0 |")
    assert not any("average" in line for line in lines)
    assert all(line[:1] in ("|", "-", "") for line in lines)


def test_the_newest_run_and_models_of_other_runs(cli: Cli) -> None:
    assert cli.json("compare", "scripted/oracle", "scripted/compliant")["a"]["run_id"] == "second"
    record = cli.json("compare", "first:scripted/random", "scripted/compliant")
    assert (record["a"]["run_id"], record["b"]["run_id"]) == ("first", "second")
    assert [column["column"] for column in record["columns"]] == ["queue_f1"]
    assert record["cautions"] == []  # the other run has one more family, but the same rows of this one
    same = cli.said("compare", "first:scripted/oracle", "second:scripted/oracle", "--run=first")
    assert "equal on every scenario: queue F1" in same.splitlines()


def test_a_whole_run(cli: Cli) -> None:
    """``--all`` gives ranks and all six pairs of a run's four models."""
    record = cli.json("compare", "--all", "--run=first")
    assert (record["run_id"], len(record["comparisons"])) == ("first", 6)
    ranks = {model["model"]: (model["rank_best"], model["rank_worst"]) for model in record["models"]}
    assert ranks["scripted/oracle"] == (1, 1)
    assert next(iter(ranks)) == "scripted/oracle"
    lines = cli.said("compare", "--all", "--run=first").splitlines()
    assert lines[2].split()[:2] == ["1", "scripted/oracle"]
    table = lines[lines.index("") + 3 : -3]
    assert len(table) == 6
    assert all("  A better  " in line or "  not significant  " in line for line in table)
    assert "Holm over 6 pairs" in lines[-1]
    assert "run first · possible ranks, from the paired differences" in lines[-3]
    assert "| scripted/oracle | scripted/refuse |" in cli.said("compare", "--all", "--run=first", "--format=md")


def test_short_names_of_models_and_runs(cli: Cli) -> None:
    whole = cli.said("compare", "scripted/oracle", "second:scripted/compliant", "--run=first")
    assert cli.said("compare", "oracle", "sec:COMPLIANT", "--run=fir") == whole


def test_bands_below_the_leaderboard(cli: Cli) -> None:
    said = cli.said("leaderboard", "--run=first", "--bands")
    assert said.startswith(cli.said("leaderboard", "--run=first"))
    record = cli.json("compare", "--all", "--run=first")
    for model in record["models"]:
        best, worst = model["rank_best"], model["rank_worst"]
        band = str(best) if best == worst else f"{best}-{worst}"
        assert [band, model["model"]] in [line.split() for line in said.splitlines()]
    assert "compare --all --format json" in cli.refused("leaderboard", "--run=first", "--bands", "--format=csv")


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (("a", "scripted/oracle"), ("no model 'a' in the run 'second'", "scripted/compliant", "runs: first")),
        (("scripted/oracel", "x"), ("did you mean 'scripted/oracle'?",)),
        (("first:x", "scripted/oracle"), ("no model 'x' in the run 'first'", "scripted/refuse")),
        (("scripted/oracle", "scripted/oracle"), ("named twice", "two models")),
        (("scripted/oracle",), ("name two models", "--all", "scripted/compliant")),
        (("scripted", "oracle"), ("'scripted' may be 2 models of the run 'second'", "write more of it")),
        ((), ("name two models", "the run 'second' has: scripted/compliant, scripted/oracle")),
        (("--all", "scripted/oracle"), ("--all compares every pair", "leave out")),
        (("--all", "--family=meeting"), ("of the family 'meeting' in common", "scripted/oracle in the run second")),
        (("--all", "--family=quue"), ("no family 'quue'", "queue, ")),
        (("--all", "--run=third"), ("no run 'third'", "first, second")),
        (("x", "y", "--run=third"), ("no run 'third'", "first, second")),
        (("--all", "--format=xml"), ("--format", "xml", "json")),
        (("--all", "--correction=none"), ("--correction", "none", "holm")),
    ],
)
def test_what_cannot_be_compared(cli: Cli, arguments: tuple[str, ...], mentions: tuple[str, ...]) -> None:
    said = cli.refused("compare", *arguments)
    assert said.startswith("muses: ")
    assert all(text in said for text in mentions), said


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_store_without_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    (tmp_path / "empty").mkdir()
    said = Cli(str(tmp_path / kind), capsys).refused("compare", "--all")
    assert "there is no run in the store" in said
    assert "muses run" in said


def test_a_manifest_that_cannot_be_read_is_named(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged manifest is reported and left out; if no other run is left, the message does not advise to play one."""
    copy = tmp_path / "store"
    shutil.copytree(store, copy)
    cli = Cli(str(copy), capsys)
    (copy / manifest_key("first")).write_text("{}")
    assert main(["compare", "--all", "--store", str(copy)]) == 0
    out, err = capsys.readouterr()
    assert "scripted/compliant" in out
    assert f"damaged and left out: {manifest_key('first')}" in err
    (copy / manifest_key("second")).write_text("{}")
    for command in (("compare", "--all"), ("leaderboard",), ("sql", "FROM runs")):
        said = cli.refused(*command)
        assert said.count("damaged and left out") == 2
        assert "no run in the store" in said
        assert "can be read" in said
        assert "muses run" not in said


def _made_up(folder: Path, scores: dict[str, list[float]]) -> str:
    """Returns the URL of a store with these queue scores, by model and scenario."""
    store = open_store(str(folder))
    episodes = [
        scored((model, number), {"f1": value}, model=model, scenario_id=f"s{number}")
        for model, values in scores.items()
        for number, value in enumerate(values)
    ]
    write_shard(store, ShardKey("run-a", "any", "any", 0, 1), episodes)
    planned = {(model, "queue"): max(map(len, scores.values())) for model in scores}
    create_or_check(store, replace(MANIFEST, planned=planned))
    return store.url


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0], [0.0], "no significant difference: queue F1 (+100.0; too few scenarios (1))"),
        ([1.0] * 3, [0.0] * 3, "no significant difference: queue F1 (+100.0 ± 0.0; too few scenarios (3))"),
        ([1.0, 0.0], [0.0, 0.5], "no significant difference: queue F1 (+25.0 ± 75.0; too few scenarios to detect any)"),
        (
            [1.0, 0.5, 0.3],
            [0.0, 0.5, 0.2],
            "no significant difference: queue F1 (+36.7 ± 31.8; too few scenarios to detect any)",
        ),
        (
            [0.5, 0.6, 0.7, 0.8] * 4,
            [0.6, 0.5, 0.8, 0.8] * 4,
            "no significant difference: queue F1 (-2.5 ± 2.1; differences below about 6 are often missed)",
        ),
        ([0.5, 0.6], [0.5, 0.6], "equal on every scenario: queue F1"),
        ([0.5, 0.6] * 9, [0.9, 0.9] * 9, "b<i> is better at: queue F1 (+35.0 ± 1.2)"),
    ],
)
def test_what_the_words_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], first: list[float], second: list[float], expected: str
) -> None:
    """The words name the better model, or say why no difference is significant and what size could be detected."""
    cli = Cli(_made_up(tmp_path, {"a": first, "b<i>": second}), capsys)
    assert expected in cli.said("compare", "a", "b<i>").splitlines()


def test_a_band_of_several_ranks_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models without a significant difference share a rank band; a model with too few scored episodes has no rank."""
    cli = Cli(_made_up(tmp_path, {"a": [0.9, 0.8] * 6, "b": [0.8, 0.9] * 6, "short": [0.5] * 8}), capsys)
    lines = cli.said("compare", "--all").splitlines()
    assert sorted(line.split()[:2] for line in lines[2:5]) == [["1-2", "a"], ["1-2", "b"], ["–", "short"]]
    assert "not ranked, because too few of their planned episodes are scored: short" in lines
    said = cli.said("compare", "a", "short")
    assert "scenarios with a score of only one of the two, left out: queue F1 4" in said.splitlines()
    assert cli.json("compare", "a", "short")["columns"][0]["left_out"] == 4


def _plan(*changes: str) -> Plan:
    from muses_eval.flows.job.prepare import load_dataset, plan_run

    options = RunOptions(
        model=("scripted/oracle", *changes), family=("queue", "access"), dataset="generated:20", epochs=3
    )
    config = load_config(None, options, "unused")
    return plan_run(config, load_dataset(config))


def test_what_a_plan_could_tell() -> None:
    """The smallest detectable difference depends on a family's scenarios and epochs, and grows with the comparisons."""
    one = smallest_difference(Design(scenarios=20, epochs=3))
    assert (
        detectable_differences(_plan())
        == detectable_differences(_plan("scripted/random"))
        == {"queue": one, "access": one}
    )
    three = smallest_difference(Design(scenarios=20, epochs=3, comparisons=3))
    assert one is not None
    assert three is not None
    assert three > one
    plan = _plan("scripted/random", "scripted/refuse")
    assert detectable_differences(plan) == {"queue": three, "access": three}
    assert render_detectable_differences(plan).endswith(f": queue {100 * three:.0f}, access {100 * three:.0f}")
    left = replace(plan, cells=(replace(plan.cells[0], shards=()), plan.cells[1]))
    assert list(detectable_differences(left)) == ["access"]
