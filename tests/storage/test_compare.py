"""Comparisons of models: pairs are formed in SQL as defined, and tested by muses_eval.storage.analysis."""

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from muses_eval.dashboards.tables.comparison import comparison_record, render_comparison
from muses_eval.dashboards.tables.ranking import ranking_record, render_ranking
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.compare import (
    AVERAGE,
    ColumnComparison,
    Comparison,
    ComparisonReport,
    ComparisonSettings,
    compare,
)
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.analysis.model_in_run import ModelInRun, find_model, models_by_run
from muses_eval.storage.analysis.multiple_comparisons import benjamini_hochberg, holm
from muses_eval.storage.analysis.rank_bands import RankBand
from muses_eval.storage.analysis.ranking import Ranking, rank_models
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.rescored import RescoredEpisode, write_rescored
from muses_eval.storage.runs.shards import write_shard

from tests.storage.clustered_means import paired_difference
from tests.storage.samples import MANIFEST, episode, failed, scored

A, B = ModelInRun("run-a", "a"), ModelInRun("run-a", "b")
PLAIN, QUEUE = ComparisonSettings(), ComparisonSettings(family="queue")


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStore:
    """Returns an empty store in a folder."""
    return open_store(str(tmp_path / "store"))


def put(store: ObjectStore, *episodes: Episode, number: int = 0) -> None:
    write_shard(store, ShardKey(episodes[0].run_id, "any", "any", number, 1), episodes)


def queue(model: str, scores: Mapping[str, float], **changes: object) -> list[Episode]:
    """Returns one scored episode of the family queue for each scenario."""
    return [
        scored((model, scenario, *map(str, changes.values())), {"f1": f1}, model=model, scenario_id=scenario, **changes)
        for scenario, f1 in scores.items()
    ]


def asked(
    store: ObjectStore, a: ModelInRun = A, b: ModelInRun = B, settings: ComparisonSettings = PLAIN
) -> ComparisonReport:
    with connect(store.url) as connection:
        return compare(connection, a, b, settings)


def ranking(store: ObjectStore, settings: ComparisonSettings = PLAIN, run_id: str = "run-a") -> Ranking:
    with connect(store.url) as connection:
        return rank_models(connection, run_id, settings)


def only(report: ComparisonReport) -> ColumnComparison:
    (column,) = report.comparison.columns
    return column


def test_two_models_on_three_scenarios(store: ObjectStore) -> None:
    """Computed by hand: differences 0.25, 0.25, 0.5, so mean 1/3 and SE sqrt(1/48 / 3); one scenario is only B's."""
    put(
        store, *queue("a", {"s1": 0.5, "s2": 0.75, "s3": 1.0}), *queue("b", {"s1": 0.25, "s2": 0.5, "s3": 0.5, "s4": 1})
    )
    report = asked(store)
    found = only(report)
    assert (found.column, found.a, found.b) == ("queue_f1", 0.75, pytest.approx(1.25 / 3))
    assert found.difference.mean == pytest.approx(1 / 3)
    assert found.difference.se == pytest.approx(math.sqrt(1 / 48 / 3))
    assert (found.difference.df, found.scenarios, found.pairs, found.left_out) == (2, 3, 3, 1)
    assert (found.a_better, found.b_better) == (3, 0)
    assert found.p_adjusted == found.difference.p
    assert report.comparison.overall == found
    assert report.cautions == ()
    turned = only(asked(store, B, A))
    assert (turned.difference.mean, turned.difference.p) == (-found.difference.mean, pytest.approx(found.difference.p))


def test_pairing_agrees_with_its_definition(store: ObjectStore) -> None:
    """Random runs with epochs, templates and failures: epochs are averaged, units paired, and clustered by scenario."""
    dice = random.Random(5)
    episodes, values = [], {"a": {}, "b": {}}  # type: ignore[var-annotated]
    for number in range(600):
        model, template = dice.choice("ab"), dice.choice(["says", "xml"])
        scenario, value = f"s{dice.randrange(30)}", dice.random()
        place = {"model": model, "template": template, "scenario_id": scenario, "epoch": number}
        if dice.random() < 0.2:
            episodes.append(failed(number, **place))
            continue
        values[model].setdefault((scenario, template), []).append(value)
        episodes.append(scored(number, {"f1": value}, **place))
    put(store, *episodes[:300])
    put(store, *episodes[300:], number=1)
    common = sorted(values["a"].keys() & values["b"].keys())
    first, second = ([fmean(values[model][unit]) for unit in common] for model in "ab")
    expected = paired_difference(first, second, [scenario for scenario, _ in common])
    found = only(asked(store))
    assert tuple(found.difference) == pytest.approx(expected)
    assert (found.a, found.b) == (pytest.approx(fmean(first)), pytest.approx(fmean(second)))
    assert (found.pairs, found.scenarios) == (len(common), len({scenario for scenario, _ in common}))
    assert found.left_out == len(values["a"].keys() ^ values["b"].keys())
    by_scenario: dict[str, float] = {}
    for (scenario, _), one, other in zip(common, first, second, strict=True):
        by_scenario[scenario] = by_scenario.get(scenario, 0) + one - other
    assert found.a_better == sum(total > 0 for total in by_scenario.values())
    assert found.b_better == sum(total < 0 for total in by_scenario.values())


def test_what_is_not_the_same_is_not_paired(folder: ObjectStore) -> None:
    """A different template, id or family is a different scenario."""
    put(
        folder,
        *queue("a", {"s1": 1.0, "s2": 1.0}),
        *queue("b", {"s1": 0.0}),
        *queue("b", {"s2": 0.0}, template="xml"),
        scored("access", {"privacy": 1.0}, model="b", family="access", scenario_id="s2"),
    )
    assert (only(asked(folder)).pairs, only(asked(folder)).left_out) == (1, 2)
    put(folder, *queue("b", {"s3": 0.0, "s4": 0.0}, run_id="run-b", dataset_version="other"), number=1)
    with pytest.raises(MusesError, match="in common") as caught:
        asked(folder, A, ModelInRun("run-b", "b"))
    text = str(caught.value)
    assert "a in the run run-a, scored: queue 2 of generated:tiny@0 (version 0123456789abcdef)" in text
    assert "b in the run run-b, scored: queue 2 of generated:tiny@0 (version other)" in text


def test_across_runs(folder: ObjectStore) -> None:
    """The same model is compared in two runs, such as two nights."""
    put(folder, *queue("a", {"s1": 1.0, "s2": 0.5}))
    put(folder, *queue("a", {"s1": 0.5, "s2": 0.25}, run_id="run-b"))
    found = asked(folder, ModelInRun("run-b", "a"), ModelInRun("run-a", "a"))
    assert only(found).difference.mean == pytest.approx(-0.375)
    assert (found.comparison.a.run_id, found.comparison.b.run_id) == ("run-b", "run-a")


def test_resumed_and_rescored_episodes_count_once_and_as_they_are_now(folder: ObjectStore) -> None:
    first = [*queue("a", {"s1": 0.25, "s2": 0.25}), *queue("b", {"s1": 0.5}), failed("x", model="b", scenario_id="s2")]
    put(folder, *first)
    resumed = replace(first[3], outcome="scored", scores=(Score("published", "f1", 0.75),), attempt=2)
    newer = replace(first[2], scores=(Score("published", "f1", 1.0),), attempt=2)
    write_shard(folder, ShardKey("run-a", "any", "any", 0, 2), [newer, resumed])
    assert (only(asked(folder)).b, only(asked(folder)).pairs) == (0.875, 2)
    again = RescoredEpisode("run-a", first[0].episode_id, 2, (Score("published", "f1", 1.0),))
    assert write_rescored(folder, RescoredKey("run-a", "queue", 2, 0), [again])
    report = asked(folder)
    assert only(report).a == 0.625
    assert report.cautions == (
        "queue was scored by different versions of its scorer (1, 2): rescore with `muses rescore`",
    )


def test_scorings_and_rounds_stand_apart(folder: ObjectStore) -> None:
    scores = (Score("published", "f1", 0.5), Score("corrected", "f1", 1.0), Score("published", "f1", 0.9, round=1))
    put(folder, *queue("b", {"sample": 0.25}), episode("both", model="a", scenario_id="sample", scores=scores))
    assert only(asked(folder)).a == 0.5
    with pytest.raises(MusesError, match="in common"):
        asked(folder, settings=ComparisonSettings(scoring="corrected"))


def test_columns_are_corrected_together(folder: ObjectStore) -> None:
    """Columns are adjusted by the chosen correction; the average is a separate group."""
    put(folder, *(one for model in "ab" for one in everything(model, 12, shift=0.2 if model == "a" else 0.0)))
    for correction, by_hand in (("holm", holm), ("bh", benjamini_hochberg)):
        comparison = asked(folder, settings=ComparisonSettings(correction=correction)).comparison  # type: ignore[arg-type]
        assert [column.column for column in comparison.columns] == ["queue_f1", "privacy", "utility"]
        raw = [column.difference.p for column in comparison.columns]
        assert [column.p_adjusted for column in comparison.columns] == by_hand(raw)  # type: ignore[arg-type]
        assert comparison.overall is not None
        assert comparison.overall.p_adjusted == comparison.overall.difference.p
    assert [
        column.column for column in asked(folder, settings=ComparisonSettings(family="access")).comparison.columns
    ] == [
        "privacy",
        "utility",
    ]


def everything(model: str, count: int, shift: float = 0.0, seed: int = 0) -> list[Episode]:
    """Returns scenarios of two families, in which a gain in privacy is an equal loss in utility."""
    dice, own = random.Random(seed), random.Random(f"{model}{seed}")
    found = []
    for number in range(count):
        base, move = dice.uniform(0.2, 0.8), own.uniform(-0.1, 0.1)
        found += queue(model, {f"q{number}": base + shift + own.uniform(-0.1, 0.1)})
        metrics = {"privacy": base + shift + move, "utility": base - move}
        found.append(scored((model, number), metrics, model=model, family="access", scenario_id=f"a{number}"))
    return found


def test_the_average_of_columns_that_hang_together(folder: ObjectStore) -> None:
    """Privacy and utility are scored on the same episodes, so the variance of their sum counts."""
    put(folder, *(one for model in "ab" for one in everything(model, 15, shift=0.05 if model == "a" else 0.0)))
    comparison = asked(folder).comparison
    by_column = {column.column: column for column in comparison.columns}
    average = comparison.overall
    assert average is not None
    assert average.column == AVERAGE
    assert average.a == pytest.approx(fmean(column.a for column in comparison.columns))
    assert average.difference.mean == pytest.approx(fmean(c.difference.mean for c in comparison.columns))
    # A gain in privacy is an equal loss in utility, so only queue makes the average uncertain.
    queue_se = by_column["queue_f1"].difference.se
    assert queue_se is not None
    assert average.difference.se == pytest.approx(queue_se / 3)
    assert by_column["privacy"].difference.se == pytest.approx(by_column["utility"].difference.se)
    assert (average.scenarios, average.pairs) == (30, 30)


def test_a_whole_run(store: ObjectStore) -> None:
    """All pairs are compared and corrected together, best model first; rank bands follow from the differences."""
    shifts = {"low": 0.0, "best": 0.2, "good": 0.1, "also-good": 0.099}
    put(store, *(one for model, shift in shifts.items() for one in everything(model, 25, shift)))
    planned = {(model, family): 25 for model in shifts for family in ("queue", "access")}
    create_or_check(store, replace(MANIFEST, planned=planned))
    found = ranking(store)
    with connect(store.url) as connection:
        board = leaderboard(connection)
    assert [each.model for each in found.models] == [row.model for row in board]
    assert [each.overall.mean for each in found.models if each.overall] == [pytest.approx(row.avg) for row in board]
    assert found.columns == ("queue_f1", "privacy", "utility")
    names = [each.model for each in found.models]
    assert [(c.a.model, c.b.model) for c in found.comparisons] == [
        (a, b) for place, a in enumerate(names) for b in names[place + 1 :]
    ]
    assert found.bands["best"] == RankBand(1, 1)
    assert found.bands["low"] == RankBand(4, 4)
    assert found.bands["good"] == found.bands["also-good"] == RankBand(2, 3)
    columns = [column for comparison in found.comparisons for column in comparison.columns]
    assert len(columns) == 18
    assert [column.p_adjusted for column in columns] == holm([column.difference.p for column in columns])  # type: ignore[misc]
    overall = [comparison.overall for comparison in found.comparisons]
    assert [one.p_adjusted for one in overall] == holm([one.difference.p for one in overall])  # type: ignore[union-attr, misc]
    pair = asked(store, found.comparisons[0].a, found.comparisons[0].b).comparison
    for alone, together in zip(pair.columns, found.comparisons[0].columns, strict=True):
        assert tuple(alone.difference) == pytest.approx(tuple(together.difference))


def test_models_that_are_not_ranked(folder: ObjectStore) -> None:
    """A model with too few scored episodes or a missing column is compared, but not ranked."""
    put(folder, *everything("whole", 10), *everything("half", 5, 0.2), *everything("other", 10, -0.1))
    put(folder, *queue("partial", {f"q{number}": 0.5 for number in range(10)}), number=1)
    planned = {(model, family): 10 for model in ("whole", "half", "other", "partial") for family in ("queue", "access")}
    del planned["partial", "access"]
    create_or_check(folder, replace(MANIFEST, planned=planned))
    found = ranking(folder)
    assert {one.model: one.band is None for one in found.models} == {
        "half": True, "whole": False, "other": False, "partial": True
    }  # fmt: skip
    assert set(found.bands.values()) <= {RankBand(1, 1), RankBand(1, 2), RankBand(2, 2)}
    by_pair = {frozenset((c.a.model, c.b.model)): c for c in found.comparisons}
    assert by_pair[frozenset(("whole", "partial"))].overall is None
    assert len(by_pair[frozenset(("whole", "partial"))].columns) == 1
    assert by_pair[frozenset(("whole", "half"))].overall is not None
    queue_only = ranking(folder, QUEUE)
    assert queue_only.columns == ("queue_f1",)
    assert {one.model for one in queue_only.models if one.band} == {"whole", "other", "partial"}
    assert all(comparison.overall == comparison.columns[0] for comparison in queue_only.comparisons)


def test_one_scenario_tells_nothing(folder: ObjectStore) -> None:
    put(folder, *queue("a", {"s": 1.0}), *queue("a", {"s": 1.0}, epoch=1), *queue("b", {"s": 0.0}))
    found = only(asked(folder))
    assert (found.difference.mean, found.difference.se, found.difference.p, found.p_adjusted) == (1.0, None, None, None)
    assert found.winner(0.05) is None
    create_or_check(folder, replace(MANIFEST, planned={("a", "queue"): 2, ("b", "queue"): 1}))
    assert ranking(folder).bands == {"a": RankBand(1, 2), "b": RankBand(1, 2)}


def test_equal_models(folder: ObjectStore) -> None:
    """Equal scores give no difference, no standard error and no winner."""
    put(folder, *queue("a", {"s1": 0.3, "s2": 0.7}), *queue("b", {"s1": 0.1 + 0.2, "s2": 0.7}))
    found = only(asked(folder))
    assert found.difference.mean == pytest.approx(0, abs=1e-12)
    assert (found.difference.p, found.a_better, found.b_better, found.winner(0.05)) == (1.0, 0, 0, None)


def test_results_of_two_protocols_do_not_compare(folder: ObjectStore) -> None:
    """It is the first caution, and the protocols are part of the report and of the ranking."""
    put(folder, *queue("a", {"s1": 1.0, "s2": 0.5}))
    put(folder, *queue("b", {"s1": 0.0, "s2": 0.1}, protocol="released", users="openai:user-model"), number=1)
    report = asked(folder)
    assert report.protocols == ("muses", "released")
    assert report.cautions[0] == (
        "the protocols were not the same (muses, released): prompts and turns differ, so the scores do not compare"
    )
    assert "· protocol muses and released ·" in render_comparison(report, "table")
    assert comparison_record(report)["protocols"] == ["muses", "released"]


def test_one_protocol_is_no_caution(folder: ObjectStore) -> None:
    put(folder, *queue("a", {"s1": 1.0}, protocol="released"), *queue("b", {"s1": 0.0}, protocol="released"))
    create_or_check(folder, replace(MANIFEST, planned={("a", "queue"): 1, ("b", "queue"): 1}, protocol="released"))
    assert (asked(folder).protocols, asked(folder).cautions) == (("released",), ())
    ranked = ranking(folder)
    assert (ranked.protocols, ranked.cautions) == (("released",), ())
    assert ranking_record(ranked)["protocols"] == ["released"]
    assert "published scoring · protocol released ·" in render_ranking(ranked, "md")


def test_what_differs_beside_the_models_is_a_caution(folder: ObjectStore) -> None:
    put(folder, *queue("a", {"s1": 1.0}), *queue("b", {"s1": 0.0}, users="openai:user-model", dataset_version="newer"))
    users, dataset = asked(folder).cautions
    assert "users were not the same (openai:user-model, scripted)" in users
    assert "not the same dataset (generated:tiny@0 0123456789abcdef, generated:tiny@0 newer)" in dataset
    assert asked(folder, settings=ComparisonSettings(family="queue")).cautions == (users, dataset)
    put(folder, scored("x", {"privacy": 1.0}, model="a", family="access", users="other"), number=1)
    assert asked(folder, settings=ComparisonSettings(family="queue")).cautions == (users, dataset)


def test_sides_that_cannot_be_compared(folder: ObjectStore) -> None:
    """A model with itself, models without a common family, a run of one model, and NaN scores are refused."""
    put(folder, *queue("a", {"s1": 1.0}))
    with pytest.raises(MusesError, match="'a' of the run 'run-a' was named twice"):
        asked(folder, A, A)
    with pytest.raises(MusesError, match="of the family 'access' in common"):
        asked(folder, settings=ComparisonSettings(family="access"))
    for run_id in ("run-a", "nowhere"):
        with pytest.raises(MusesError, match="no two models"):
            ranking(folder, run_id=run_id)
    put(folder, *queue("b", {"s1": math.nan}), number=1)
    with pytest.raises(StoreError, match="score of 'b' in queue_f1 that is not a finite number"):
        asked(folder)


def test_finding_a_model(folder: ObjectStore) -> None:
    """A model is found by its name, as RUN:MODEL, and with colons in its name."""
    names = ("qwen:free", "it's", "run-b:c")
    put(folder, *(one for name in names for one in queue(name, {"s1": 1.0})))
    put(folder, *queue("c", {"s1": 1.0}, run_id="run-b"), number=1)
    with connect(folder.url) as connection:
        played = models_by_run(connection)
        assert played == {"run-a": sorted(names), "run-b": ["c"]}
        assert find_model(played, "qwen:free", "run-a") == ModelInRun("run-a", "qwen:free")
        assert find_model(played, "run-b:c", "run-a") == ModelInRun("run-a", "run-b:c")
        assert find_model(played, "run-b:c", "run-b") == ModelInRun("run-b", "c")
        assert find_model(played, "run-a:qwen:free", "run-b") == ModelInRun("run-a", "qwen:free")
        found = compare(connection, ModelInRun("run-a", "it's"), ModelInRun("run-b", "c"))
    assert only(found).pairs == 1
    for text, run_id, mentions in (
        ("qwen:fere", "run-a", ("'qwen:fere' in the run 'run-a'", "did you mean 'qwen:free'?", "runs: run-b")),
        ("run-b:d", "run-a", ("'d' in the run 'run-b'", "has: c")),
        ("c", "run-c", ("'c' in the run 'run-c'", "has: none", "RUN:MODEL", "run-a, run-b")),
    ):
        with pytest.raises(MusesError) as caught:
            find_model(played, text, run_id)
        assert all(mention in str(caught.value) for mention in mentions), str(caught.value)


def test_long_lists_are_cut(folder: ObjectStore) -> None:
    with pytest.raises(MusesError, match=r"m00, .*m11 and 88 more\.?$"):
        find_model({"r": [f"m{number:02}" for number in range(100)]}, "x", "r")


def test_comparisons_are_values() -> None:
    """Reports are immutable, comparable and hashable."""
    empty = Comparison(a=A, b=B, columns=(), overall=None)
    assert {empty, replace(empty)} == {empty}
