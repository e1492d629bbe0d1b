"""The leaderboard: means, standard errors, coverage, bounds and ranks."""

from dataclasses import replace

import pytest
from muses_eval.dashboards.tables.ranking import render_ranking
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.intervals import Bounds
from muses_eval.storage.analysis.leaderboard import LeaderboardRow, leaderboard
from muses_eval.storage.analysis.ranking import rank_models
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.clustered_means import clustered_mean
from tests.storage.samples import MANIFEST, episode, failed, scored

FAMILIES = ("queue", "instruct", "access", "meeting")
METRICS = {family: [column.metric for column in COLUMNS.values() if column.family == family] for family in FAMILIES}


def _full(model: str, value: float, run_id: str = "run-a") -> list[Episode]:
    """Returns episodes of one model in every family: two scenarios with *value* ± 0.1."""
    return [
        scored(
            (model, family, number, run_id),
            dict.fromkeys(METRICS[family], value + (0.1 if number else -0.1)),
            model=model,
            run_id=run_id,
            family=family,
            scenario_id=f"{family}-{number}",
        )
        for family in FAMILIES
        for number in (0, 1)
    ]


def _store(store: ObjectStore, episodes: list[Episode], planned: dict[tuple[str, str], int] | None = None) -> None:
    run_id = episodes[0].run_id
    write_shard(store, ShardKey(run_id, "all", "all", 0, 1), episodes)
    if planned is not None:
        create_or_check(store, replace(MANIFEST, run_id=run_id, planned=planned))


def _board(store: ObjectStore, **options: object) -> list[LeaderboardRow]:
    with connect(store.url) as connection:
        return leaderboard(connection, **options)  # type: ignore[arg-type]


def _planned(*models: str, episodes: int = 2) -> dict[tuple[str, str], int]:
    return {(model, family): episodes for model in models for family in FAMILIES}


def test_built_in_agents_stand_below_all_models_without_a_rank(store: ObjectStore) -> None:
    """The best model is 1, whatever the oracle scores; a run of built-in agents alone ranks them among themselves."""
    values = {"oracle": 1.0, "low": 0.2, "high": 0.8, "floor": 0.1}
    builtin = {"oracle": "oracle", "floor": "refuse"}
    for run_id, names in {"run-a": list(values), "run-b": list(builtin)}.items():
        played = [one for name in names for one in _full(name, values[name], run_id)]
        write_shard(store, ShardKey(run_id, "all", "all", 0, 1), played)
        models = {
            name: {"provider": "scripted", "model": builtin[name]} if name in builtin else {"provider": "openai"}
            for name in names
        }
        create_or_check(store, replace(MANIFEST, run_id=run_id, planned=_planned(*names), models=models))
    ranks = [(row.run_id, row.model, row.rank, row.ranked) for row in _board(store)]
    assert ranks == [
        ("run-a", "high", 1, True),
        ("run-a", "low", 2, True),
        ("run-a", "oracle", None, False),
        ("run-a", "floor", None, False),
        ("run-b", "oracle", 1, True),
        ("run-b", "floor", 2, True),
    ]
    with connect(store.url) as connection:
        ranking = rank_models(connection, "run-a")
    assert {each.model: each.band is None for each in ranking.models} == {
        "high": False, "low": False, "oracle": True, "floor": True
    }  # fmt: skip
    assert max(band.worst for band in ranking.bands.values()) == 2
    assert "not ranked, because they are built-in agents: oracle, floor" in render_ranking(ranking, "table")


def test_a_full_run(store: ObjectStore) -> None:
    """A row has five columns, their mean, its standard error, and a rank."""
    _store(store, _full("low", 0.2) + _full("high", 0.8), _planned("low", "high"))
    high, low = _board(store)
    assert (high.model, high.rank, low.model, low.rank) == ("high", 1, "low", 2)
    expected = clustered_mean([0.7, 0.9], ["a", "b"])
    for column in COLUMNS:
        assert high.estimates[column] == pytest.approx(expected)
    assert high.avg == pytest.approx(0.8)
    assert high.avg_se == pytest.approx(0.1 / 5**0.5)
    assert (high.avg_columns, high.episodes, high.planned, high.coverage, high.ranked) == (5, 8, 8, 1.0, True)
    assert high.bounds == {}
    assert high.cost_usd == pytest.approx(0.008)


def test_an_agent_is_a_row_of_its_own(store: ObjectStore) -> None:
    """A row has its model, agent and facts, also when nothing of it was played; failures of the agent are a share."""
    agent = {"name": "guard", "facts": "structured"}
    names = {"base_model": "m", "agent": "guard", "facts": "structured"}
    guarded = [replace(one, model="m + guard", **names) for one in _full("m", 0.8)]
    guarded[0] = replace(guarded[0], flags=("agent_error",))
    write_shard(store, ShardKey("run-a", "all", "all", 0, 1), [*_full("m", 0.2), *guarded])
    entries = ("m", "m + guard", "n + guard")
    identities = {entry: {"base_model": entry[0], "agent": agent} for entry in entries[1:]}
    create_or_check(store, replace(MANIFEST, planned=_planned(*entries), models={"m": {}, **identities}))
    rows = [(row.model, row.base_model, row.agent, row.facts, row.agent_error_share) for row in _board(store)]
    assert rows == [
        ("m + guard", "m", "guard", "structured", 1 / 8),
        ("m", "m", "chat", "prose", None),
        ("n + guard", "n", "guard", "structured", None),
    ]


def test_failures_are_not_scores(store: ObjectStore) -> None:
    """Failures lower the coverage, not the mean; the row has bounds and no rank."""
    played = _full("model-a", 0.5)
    lost = played[1]
    rest = [one for one in played if one is not lost]
    gone = failed("lost", family=lost.family, scenario_id=lost.scenario_id, cost_usd=None)
    _store(store, [*rest, gone], _planned("model-a"))
    (row,) = _board(store)
    assert row.estimates["queue_f1"].mean == pytest.approx(0.4)
    assert row.estimates["queue_f1"].se is None
    assert row.outcomes == {"scored": 7, "infra_failed": 1, "simulator_failed": 0, "budget_stopped": 0}
    assert (row.episodes, row.planned, row.coverage) == (7, 8, 0.875)
    assert list(row.bounds) == ["queue_f1"]
    assert row.bounds["queue_f1"] == pytest.approx(Bounds(0.2, 0.7))
    assert (row.ranked, row.rank) == (False, None)
    (lenient,) = _board(store, threshold=0.5)
    assert (lenient.ranked, lenient.rank) == (True, 1)


def test_a_family_below_the_threshold(store: ObjectStore) -> None:
    """A model with too few scored episodes in one family has no rank."""
    played = [one for one in _full("model-a", 0.5) if one.family != "queue"] + [episode("queue", model="model-a")]
    _store(store, played, _planned("model-a"))
    (row,) = _board(store, threshold=0.8)
    assert row.coverage == 0.875
    assert (row.ranked, row.rank) == (False, None)


def test_planned_but_never_played(store: ObjectStore) -> None:
    """A model without episodes has a row with the bounds 0 and 1."""
    create_or_check(store, replace(MANIFEST, planned=_planned("model-a")))
    (row,) = _board(store)
    assert (row.episodes, row.planned, row.coverage, row.avg, row.rank) == (0, 8, 0.0, None, None)
    assert row.bounds == dict.fromkeys(COLUMNS, Bounds(0.0, 1.0))
    assert row.cost_usd == 0.0


def test_a_row_that_lacks_a_column(store: ObjectStore) -> None:
    """A row that lacks a column has no average, because averages over fewer columns are not comparable."""
    partial = [one for one in _full("partial", 0.9) if one.family != "meeting"]
    _store(store, _full("whole", 0.5) + partial, _planned("whole", "partial"))
    whole, lacking = _board(store)
    assert (whole.model, whole.avg_columns, whole.rank) == ("whole", 5, 1)
    assert (lacking.avg, lacking.avg_se, lacking.rank) == (None, None, None)
    assert lacking.estimates["queue_f1"].mean == pytest.approx(0.9)
    assert lacking.estimates["meeting_success"] is None
    assert lacking.bounds == {"meeting_success": Bounds(0.0, 1.0)}


def test_a_run_over_some_families(store: ObjectStore) -> None:
    """The average is over the columns that were played, and the row has their number."""
    some = [one for one in _full("model-a", 0.5) if one.family in ("queue", "access")]
    _store(store, some, {("model-a", "queue"): 2, ("model-a", "access"): 2})
    (row,) = _board(store)
    assert (row.avg_columns, row.rank) == (3, 1)
    assert row.avg == pytest.approx(0.5)


def test_equal_averages_share_a_rank(store: ObjectStore) -> None:
    """Equal averages share a rank, and the next rank is skipped."""
    _store(store, _full("b", 0.5) + _full("a", 0.5) + _full("c", 0.25), _planned("a", "b", "c"))
    assert [(row.model, row.rank) for row in _board(store)] == [("a", 1), ("b", 1), ("c", 3)]


def test_several_runs(store: ObjectStore) -> None:
    """Each run has its own ranks and columns; one run can be read alone."""
    _store(store, _full("model-a", 0.5), _planned("model-a"))
    queue_only = [one for one in _full("model-a", 0.7, "run-b") if one.family == "queue"]
    _store(store, queue_only, {("model-a", "queue"): 2})
    rows = _board(store)
    assert [(row.run_id, row.rank, row.avg_columns) for row in rows] == [("run-a", 1, 5), ("run-b", 1, 1)]
    assert _board(store, run_id="run-b") == rows[1:]
    assert _board(store, run_id="run-c") == []


def test_without_a_manifest(store: ObjectStore) -> None:
    """Without a manifest, plan and coverage are unknown, and no row is ranked."""
    _store(store, _full("model-a", 0.5))
    (row,) = _board(store)
    assert (row.planned, row.coverage, row.ranked, row.rank, row.bounds) == (None, None, False, None, {})
    assert row.avg == pytest.approx(0.5)


def _row(name: str, family: str, metrics: dict[str, float]) -> Episode:
    told = {"row_error": 0.0, **({"scored_rounds": 1.0} if family == "access" else {}), **metrics}
    return scored(("model", family, name), told, model="model", family=family, scenario_id=name)


def test_the_averaging_of_the_released_code(store: ObjectStore) -> None:
    """Rows with an error and episodes of access without a scored round count as 0 in ours, and not at all in theirs."""
    rows = [
        _row("q1", "queue", {"f1": 0.5}),
        _row("q2", "queue", {"f1": 0.0, "row_error": 1.0}),
        _row("q3", "queue", {"f1": 0.0}),
        _row("a1", "access", {"privacy": 0.5, "utility": 1.0}),
        _row("a2", "access", {"privacy": 1.0, "utility": 0.0, "scored_rounds": 0.0}),
        _row("a3", "access", {"privacy": 0.0, "utility": 0.0, "row_error": 1.0}),
        _row("m1", "meeting", {"success": 0.0, "row_error": 1.0}),
        failed("m2", model="model", family="meeting"),
    ]
    _store(store, rows, {("model", "queue"): 3, ("model", "access"): 3, ("model", "meeting"): 2})
    (ours,) = _board(store)
    (theirs,) = _board(store, averaging="released")

    def means(row: LeaderboardRow) -> dict[str, float]:
        return {name: round(each.mean, 6) for name, each in row.estimates.items() if each is not None}

    assert means(ours) == {"queue_f1": 0.166667, "privacy": 0.5, "utility": 0.333333, "meeting_success": 0.0}
    assert means(theirs) == {"queue_f1": 0.25, "privacy": 0.5, "utility": 1.0}
    assert (ours.averaging, ours.left_out, theirs.averaging, theirs.left_out) == ("all", 0, "released", 4)
    assert (ours.episodes, ours.planned) == (theirs.episodes, theirs.planned) == (7, 8)
    assert (ours.bounds, theirs.bounds) == (
        {"meeting_success": Bounds(0.0, 0.5)},
        {"meeting_success": Bounds(0.0, 1.0)},
    )


def test_scores_that_do_not_tell_which_rows_are_left_out(store: ObjectStore) -> None:
    """Scores of an earlier version are no figures of another averaging; the message says how to get them."""
    _store(store, _full("old", 0.5), _planned("old"))
    assert _board(store)[0].episodes == 8
    with pytest.raises(MusesError, match=r"no score 'row_error'.*`muses rescore run-a`"):
        _board(store, averaging="released")


def test_scorings_stand_apart(store: ObjectStore) -> None:
    """Scores belong to their own scoring; episodes and costs are the same in both."""
    _store(store, [episode(1)], {("model-a", "queue"): 1})
    for scoring, expected in (("published", 0.5), ("corrected", 0.25)):
        (row,) = _board(store, scoring=scoring)
        assert (row.scoring, row.estimates["queue_f1"].mean, row.episodes) == (scoring, expected, 1)


@pytest.mark.parametrize("unknown", [episode(2, cost_usd=None), failed(2, cost_usd=None)])
def test_an_unknown_cost(store: ObjectStore, unknown: Episode) -> None:
    """One unknown cost, also of a failed episode, makes the sum unknown."""
    _store(store, [episode(1), unknown])
    (row,) = _board(store)
    assert row.cost_usd is None


def test_resumed_episodes_count_once(store: ObjectStore) -> None:
    """A later attempt replaces a failed one."""
    _store(store, [scored(1, {"f1": 1.0}), failed(2, scenario_id="queue-2")], {("model-a", "queue"): 2})
    resumed = scored(2, {"f1": 0.0}, scenario_id="queue-2", attempt=2)
    write_shard(store, ShardKey("run-a", "all", "all", 0, 2), [resumed])
    (row,) = _board(store)
    assert (row.estimates["queue_f1"].mean, row.estimates["queue_f1"].se, row.episodes, row.coverage, row.rank) == (
        0.5,
        0.5,
        2,
        1.0,
        1,
    )
    assert row.outcomes["infra_failed"] == 0


def test_an_empty_store(store: ObjectStore) -> None:
    """An empty store has no rows."""
    assert _board(store) == []


@pytest.mark.parametrize(
    ("truncated", "limit", "ranked"),
    [(2, None, True), (3, None, False), (3, 0.3, True), (3, 0.25, False), (0, 0.0, True)],
)
def test_a_row_with_too_many_unusable_replies_has_no_rank(
    store: ObjectStore, truncated: int, limit: float | None, ranked: bool
) -> None:
    """The unit is the reply, and the share must be small enough in every family."""
    episodes = _full("m", 0.5)
    last = [replace(one, turns=10, unusable=UnusableReplies()) for one in episodes]
    last[0] = replace(last[0], turns=0)  # all 10 replies of queue are in one episode
    last[1] = replace(last[1], unusable=UnusableReplies(truncated=truncated))
    _store(store, last, _planned("m"))
    (row,) = _board(store, max_unusable=limit)
    assert (row.ranked, row.unusable_share, row.truncated_share) == (ranked, truncated / 70, truncated / 70)
    assert row.unusable_kinds == ({"truncated": truncated / 70} if truncated else {})
    percent = 100 * (0.2 if limit is None else limit)
    text = f"{10 * truncated} % of its replies in queue are unusable, and at most {percent:.3g} % may be"
    assert row.unusable_excess == (None if ranked else text)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (("unparsed",), "unreadable"),
        (("unparsed", "length"), "truncated"),
        (("unparsed", "agent_error"), "empty"),
        (("unparsed", "length", "content_filter"), "filtered"),
        (("unparsed", "context_overflow"), "overflowed"),
        (("reused", "credential_masked"), None),
    ],
)
def test_rows_of_older_versions_count_by_their_flags(
    store: ObjectStore, flags: tuple[str, ...], kind: str | None
) -> None:
    """A flagged episode without counts has at least one unusable reply, of the first kind that is flagged."""
    one, *others = _full("m", 0.5)
    _store(store, [replace(one, turns=3, flags=flags), *others], _planned("m"))
    (row,) = _board(store)
    assert row.unusable_kinds == ({} if kind is None else {kind: 1 / 10})
    assert row.ranked == (kind is None)
