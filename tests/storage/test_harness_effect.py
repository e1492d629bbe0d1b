"""The effect of a harness: agents paired with their models alone, in scores and in usage."""

import random
from pathlib import Path
from typing import Any

import pytest
from muses_eval.dashboards.tables.comparison import comparison_record, render_comparison
from muses_eval.dashboards.tables.ranking import ranking_record, render_ranking
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.analysis.compare import AVERAGE, ComparisonSettings, compare
from muses_eval.storage.analysis.harness_effect import EpisodeUsage, HarnessReport, harness_effects
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.ranking import rank_models
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.shards import write_shard
from scipy import stats
from statsmodels.stats.multitest import multipletests

from tests.storage.samples import failed, scored

CALL = Call("agent", "m", 100, 20, 1.0, 0, "stop", cost_usd=0.25, turn=1, step=1)
USER = Call("user", "u", 900, 90, 1.0, 0, "stop", cost_usd=9.0, turn=1, step=1)
SCENARIOS = range(12)


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStore:
    """Returns an empty store in a folder."""
    return open_store(str(tmp_path / "store"))


def put(store: ObjectStore, episodes: list[Episode]) -> None:
    write_shard(store, ShardKey("run-a", "any", "any", 0, 1), episodes)


def entry(model: str, agent: str) -> dict[str, Any]:
    if agent == "chat":
        return {"model": model, "base_model": model}
    facts = "prose" if agent == "careful" else "structured"
    return {"model": f"{model} + {agent}", "base_model": model, "agent": agent, "facts": facts}


def queue(agent: str, number: int, f1: float, model: str = "m", **changes: Any) -> Episode:
    """Returns a scored episode of queue: one call for chat, three for an agent, and one of a simulated user."""
    calls = (*(CALL,) * (1 if agent == "chat" else 3), USER)
    place = {**entry(model, agent), "scenario_id": f"s{number}", "calls": calls, "seconds": 2.0 + len(calls)}
    return scored((model, agent, number), {"f1": f1}, **place | changes)


def effects(store: ObjectStore, **settings: Any) -> HarnessReport:
    with connect(store.url) as connection:
        return harness_effects(connection, "run-a", ComparisonSettings(**settings))


def two_models() -> tuple[list[Episode], dict[tuple[str, str], list[float]]]:
    """Returns episodes of two models with two agents each, and (model, agent) -> scores in the order of scenarios."""
    dice = random.Random(4)
    shift = {"chat": 0.0, "careful": 0.05, "guard": 0.3}
    values = {
        (model, agent): [0.6 * dice.random() + shift[agent] for _ in SCENARIOS]
        for model in ("m", "n")
        for agent in shift
    }
    episodes = [
        queue(agent, number, f1, model) for (model, agent), scores in values.items() for number, f1 in enumerate(scores)
    ]
    return episodes, values


def test_differences_are_those_of_a_paired_test(folder: ObjectStore) -> None:
    """Each agent is paired with its own model alone; p-values are corrected over all of these pairs, and no others."""
    episodes, values = two_models()
    put(folder, episodes)
    report = effects(folder)
    assert [(effect.base_model, effect.agent, effect.facts) for effect in report.effects] == [
        ("m", "careful", "prose"),
        ("m", "guard", "structured"),
        ("n", "careful", "prose"),
        ("n", "guard", "structured"),
    ]
    tests = []
    for effect in report.effects:
        (column,) = effect.columns
        agent, alone = values[effect.base_model, effect.agent], values[effect.base_model, "chat"]
        tests.append(stats.ttest_rel(agent, alone))
        differences = [a - b for a, b in zip(agent, alone, strict=True)]
        assert column.difference.mean == pytest.approx(sum(differences) / len(differences))
        assert column.difference.se == pytest.approx(stats.sem(differences))
        assert column.difference.p == pytest.approx(tests[-1].pvalue)
        assert (column.b, column.scenarios) == (pytest.approx(sum(alone) / len(alone)), len(SCENARIOS))
    for found, method in ((report, "holm"), (effects(folder, correction="bh"), "fdr_bh")):
        expected = multipletests([test.pvalue for test in tests], method=method)[1]
        assert [effect.columns[0].p_adjusted for effect in found.effects] == pytest.approx(expected)
    with connect(folder.url) as connection:
        pair = compare(connection, ModelInRun("run-a", "m + guard"), ModelInRun("run-a", "m"))
        rows = connection.execute(
            "SELECT base_model, agent, facts, column_name, difference, se, scenarios FROM harness_effect"
        ).fetchall()
    one, other = pair.comparison.columns[0].difference, report.effects[1].columns[0].difference
    assert tuple(one) == pytest.approx(tuple(other))  # sums of floats depend on the order of the rows
    assert pair.facts == ("structured", "prose")
    for row, effect in zip(rows, report.effects, strict=True):
        difference = effect.columns[0].difference
        assert row[:4] == (effect.base_model, effect.agent, effect.facts, "queue_f1")
        assert row[4:] == (pytest.approx(difference.mean), pytest.approx(difference.se), len(SCENARIOS))


def test_the_average_has_its_own_correction(folder: ObjectStore) -> None:
    """With several columns, an effect ends with their average."""
    dice = random.Random(9)
    put(
        folder,
        [
            scored((agent, family, n), metrics, family=family, scenario_id=f"{family}-{n}", **entry("m", agent))
            for agent in ("chat", "guard")
            for n in range(5)
            for family, metrics in (
                ("queue", {"f1": dice.random()}),
                ("access", {"privacy": dice.random(), "utility": dice.random()}),
            )
        ],
    )
    (effect,) = effects(folder).effects
    assert [column.column for column in effect.columns] == ["queue_f1", "privacy", "utility", AVERAGE]
    average = effect.columns[-1]
    assert average.p_adjusted == average.difference.p
    assert [usage.family for usage in effect.usage] == ["access", "queue", None]
    assert [effect.usage_beside(column) for column in effect.columns] == [
        effect.usage[1],
        *(effect.usage[0], effect.usage[0]),
        effect.usage[2],
    ]


def test_usage_is_per_episode_that_both_have(folder: ObjectStore) -> None:
    """Calls of users do not count; an episode that only one of the two has scored is left out; failures are shares."""
    episodes = [queue(agent, n, 0.5 + n / 10) for agent in ("chat", "guard") for n in range(4)]
    episodes[-1] = failed("lost", **entry("m", "guard"), scenario_id="s3")
    episodes[-2] = queue("guard", 2, 0.0, flags=("agent_error", "unparsed"))
    put(folder, episodes)
    (effect,) = effects(folder).effects
    (of_family, total) = effect.usage
    assert (of_family.family, total.family, total.episodes) == ("queue", None, 3)
    assert total.chat == EpisodeUsage(cost_usd=0.25, tokens=120, calls=1, seconds=4)
    assert total.agent == EpisodeUsage(cost_usd=0.75, tokens=360, calls=3, seconds=6)
    assert total.ratios == EpisodeUsage(cost_usd=3, tokens=3, calls=3, seconds=1.5)
    assert total.agent_error_share == pytest.approx(1 / 3)


CACHED = Call("agent", "m", 100, 20, 0.0, 0, "stop", cached=True)
UNKNOWN = {
    "no call": ((), (), EpisodeUsage(0, 0, 0, 3)),
    "no tokens": ((CALL, Call("agent", "m", None, 5, 1.0, 0, "stop", cost_usd=0.75)), (), EpisodeUsage(1, None, 2, 3)),
    "no price": ((Call("agent", "m", 90, 30, 1.0, 0, "stop"),), (), EpisodeUsage(None, 120, 1, 3)),
    "cached": ((CACHED,), (), EpisodeUsage(None, 120, 1, None)),
    "reused": ((CACHED,), ("reused",), EpisodeUsage(None, 120, 1, 3)),
}


def test_what_is_unknown_is_no_zero(folder: ObjectStore) -> None:
    """Cost and time of a cached reply say nothing about the agent; a copied episode keeps its time."""
    episodes = [
        queue(agent, 0, 0.5, model, seconds=3.0, **changes)
        for model, (calls, flags, _) in UNKNOWN.items()
        for agent, changes in (("chat", {}), ("guard", {"calls": calls, "flags": flags}))
    ]
    put(folder, episodes)
    found = {effect.base_model: effect.usage[-1] for effect in effects(folder).effects}
    assert {model: usage.agent for model, usage in found.items()} == {model: case[2] for model, case in UNKNOWN.items()}
    assert {model for model, usage in found.items() if usage.ratios.cost_usd is None} == {
        "no price",
        "cached",
        "reused",
    }


def test_agents_without_their_model_alone_are_named(folder: ObjectStore) -> None:
    """Nothing is compared with another model, or with a model whose scenarios are others."""
    put(
        folder,
        [
            *(queue("guard", n, 0.5, "m") for n in range(3)),
            *(queue("chat", n, 0.5, "n") for n in range(3)),
            *(queue("careful", n, 0.5, "n") for n in (7, 8)),
        ],
    )
    report = effects(folder)
    assert report.effects == ()
    assert report.missing == (
        "m: chat, the model alone, has no scored episode; not compared: guard",
        "n + careful: no scored scenario in common with chat, the model alone; not compared",
    )


@pytest.mark.parametrize("agent", ["chat", "guard"])
def test_a_run_of_one_kind(folder: ObjectStore, agent: str) -> None:
    """A run without agents is refused; of a run without the model alone, the report says so."""
    put(folder, [queue(agent, n, 0.5) for n in range(3)])
    if agent == "chat":
        with pytest.raises(MusesError, match=r"'run-a' has no agent besides chat"):
            effects(folder)
    else:
        assert effects(folder).missing == ("m: chat, the model alone, has no scored episode; not compared: guard",)


def test_facts_are_named_and_a_caution(folder: ObjectStore) -> None:
    """A comparison of agents with different facts says so; one of equal facts does not."""
    put(folder, two_models()[0])
    with connect(folder.url) as connection:
        report = compare(connection, ModelInRun("run-a", "m + guard"), ModelInRun("run-a", "m + careful"))
        ranking = rank_models(connection, "run-a")
        alike = compare(connection, ModelInRun("run-a", "m"), ModelInRun("run-a", "m + careful")).cautions
    assert [caution.partition(". ")[0] for caution in report.cautions] == [
        "facts structured: m + guard; facts prose: the others"
    ]
    assert alike == ()
    assert render_comparison(report, "table").splitlines()[:2] == [
        "A  m + guard (run run-a, facts structured)",
        "B  m + careful (run run-a)",
    ]
    assert comparison_record(report)["facts"] == {"a": "structured", "b": "prose"}
    ranks = {tuple(line.split()[1:-3]) for line in render_ranking(ranking, "table").splitlines()[2:8]}
    assert {("m", "prose"), ("m", "+", "guard", "structured"), ("n", "+", "careful", "prose")} <= ranks
    assert {(each["model"], each["agent"], each["facts"]) for each in ranking_record(ranking)["models"]} >= {
        ("n", "chat", "prose"),
        ("n + guard", "guard", "structured"),
    }
