"""The figures' views against the same figures computed in Python, over folders and over S3."""

import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from math import fsum, hypot
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.score import SCORINGS, Score
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.clustered_means import clustered_mean
from tests.storage.samples import MANIFEST, episode, failed

KEY = ShardKey("run-a", "all", "all", 0, 1)
MODELS = ("model-a", "model-b")
METRICS = {
    "queue": ("f1", "accuracy"),
    "instruct": ("accuracy", "all_passed"),
    "access": ("privacy", "utility"),
    "meeting": ("success", "attendance", "turns"),
}
Cells = dict[tuple[Any, ...], Any]


def _variant(dice: random.Random, family: str) -> dict[str, Any]:
    match family:
        case "instruct":
            return {"mode": dice.choice(["aligned", "conflict"])}
        case "access":
            return {"attack": dice.choice(["none", "pressure"]), "template": dice.choice(["says", "xml"])}
        case "meeting":
            return {"disclosure": dice.choice(["full", "partial"])}
        case _:
            return {}


def _scores(dice: random.Random, family: str) -> tuple[Score, ...]:
    """Returns one score per metric; for access also scores by round, for a random number of rounds."""
    rounds = dice.randint(1, 5) if family == "access" else 0
    return tuple(
        Score(scoring, metric, dice.random(), turn)
        for scoring in SCORINGS
        for metric in METRICS[family]
        for turn in (*range(1, rounds + 1), None)
    )


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """Returns episodes of two models on every family; scenarios have several epochs, and each has one variant."""
    dice = random.Random(11)
    found = []
    for model in MODELS:
        for family in METRICS:
            variants = [{"num_users": dice.randint(2, 4), **_variant(dice, family)} for _ in range(9)]
            for number in range(18):
                changes = {"scenario_id": f"{family}-{number % 9}", "epoch": number // 9, **variants[number % 9]}
                changes |= {"family": family, "model": model}
                found.append(episode((model, family, number), scores=_scores(dice, family), **changes))
    return found


@pytest.fixture
def filled(store: ObjectStore, episodes: list[Episode]) -> ObjectStore:
    """Returns a complete run with one failed attempt, which no figure counts."""
    first = episodes[0]
    lost = replace(failed("lost", family=first.family, model=first.model), episode_id=first.episode_id)
    write_shard(store, KEY, [lost, *episodes[1:]])
    write_shard(store, replace(KEY, attempt=2), [replace(first, attempt=2)])
    planned = {(model, family): 18 for model in MODELS for family in METRICS}
    create_or_check(store, replace(MANIFEST, planned=planned))
    return store


def _cells(episodes: Iterable[Episode], cell: Callable[[Episode, Score], tuple[Hashable, ...] | None]) -> Cells:
    """Returns (scoring, model, *cell) -> (episodes, scenarios, mean, se); scores whose cell is None are left out."""
    values: dict[tuple[Hashable, ...], list[tuple[float, str]]] = defaultdict(list)
    for one in episodes:
        for score in one.scores:
            if (name := cell(one, score)) is not None:
                values[score.scoring, one.model, *name].append((score.value, one.scenario_id))
    return {name: _figures(pairs) for name, pairs in values.items()}


def _figures(pairs: list[tuple[float, str]]) -> tuple[int, int, Any, Any]:
    estimate = clustered_mean(*map(list, zip(*pairs, strict=True)))
    se = None if estimate.se is None else pytest.approx(estimate.se)
    return len(pairs), len({scenario for _, scenario in pairs}), pytest.approx(estimate.mean), se


def _view(store: ObjectStore, view: str, *keys: str) -> Cells:
    """Returns the same cells from a view; *keys* are its columns besides the figures."""
    query = f"SELECT scoring, model, {', '.join(keys)}, episodes, scenarios, mean, se FROM {view}"
    with connect(store.url) as connection:
        assert connection.execute(f"SELECT DISTINCT run_id FROM {view}").fetchall() == [("run-a",)]
        rows = connection.execute(query).fetchall()
    cells = {row[:-4]: row[-4:] for row in rows}
    assert len(cells) == len(rows)
    return cells


def _whole(family: str, *metrics: str) -> Callable[[Episode, Score], bool]:
    return lambda one, score: one.family == family and score.metric in metrics and score.round is None


def test_meetings_by_disclosure(filled: ObjectStore, episodes: list[Episode]) -> None:
    """Figure 5 has success and turns by disclosure."""
    counts = _whole("meeting", "success", "turns")
    expected = _cells(episodes, lambda one, score: (one.disclosure, score.metric) if counts(one, score) else None)
    assert len(expected) == 2 * 2 * 2 * 2
    assert _view(filled, "meeting_disclosure", "disclosure", "metric") == expected


def test_attacks_and_templates(filled: ObjectStore, episodes: list[Episode]) -> None:
    """Figure 8 has one row per attack and serialisation."""
    counts = _whole("access", "privacy", "utility")
    expected = _cells(
        episodes, lambda one, score: (one.attack, one.template, score.metric) if counts(one, score) else None
    )
    assert _view(filled, "by_attack_and_template", "attack", "template", "metric") == expected


def test_number_of_users(filled: ObjectStore, episodes: list[Episode]) -> None:
    """Figure 9 has the leaderboard's columns by number of users."""
    columns = {(column.family, column.metric) for column in COLUMNS.values()}
    expected = _cells(
        episodes,
        lambda one, score: (
            (one.family, score.metric, one.num_users)
            if (one.family, score.metric) in columns and score.round is None
            else None
        ),
    )
    assert {name[2] for name in expected} == set(METRICS)
    assert _view(filled, "by_num_users", "family", "metric", "num_users") == expected


def test_every_episode_counts_in_every_round(filled: ObjectStore, episodes: list[Episode]) -> None:
    """In figure 4, an episode that has ended keeps its last value, so all rounds have the same denominator."""
    access = [one for one in episodes if one.family == "access"]
    longest = max(score.round or 0 for one in access for score in one.scores)
    assert min(max(score.round or 0 for score in one.scores) for one in access) < longest == 5

    def until(one: Episode, turn: int) -> tuple[Score, ...]:
        last = min(turn, max(score.round or 0 for score in one.scores))
        return tuple(replace(score, round=turn) for score in one.scores if score.round == last)

    filled_up = [replace(one, scores=until(one, turn)) for one in access for turn in range(1, longest + 1)]
    expected = _cells(filled_up, lambda _, score: (score.metric, score.round))
    assert {figures[0] for figures in expected.values()} == {18}
    assert _view(filled, "privacy_by_round", "metric", "round") == expected


def test_an_episode_without_rounds_counts_with_its_whole(store: ObjectStore) -> None:
    """An episode without rounds has its whole score in every round."""
    silent = (Score("published", "privacy", 1.0),)
    rounds = tuple(Score("published", "privacy", 0.0, turn) for turn in (1, 2, None))
    scores = {"access-1": silent, "access-2": rounds}
    write_shard(store, KEY, [episode(s, family="access", scenario_id=s, scores=scores[s]) for s in scores])
    with connect(store.url) as connection:
        rows = connection.execute("SELECT round, episodes, mean FROM privacy_by_round").fetchall()
    assert rows == [(1, 2, 0.5), (2, 2, 0.5)]


def test_rounds_without_a_score_keep_the_value_before_them(store: ObjectStore) -> None:
    """The scorings skip rounds of their own; before its first scored round, an episode has sent nothing."""
    published = {2: 0.5, 4: 0.25}
    corrected = dict.fromkeys((1, 2, 3, 4, 5), 0.75)
    scores = tuple(
        Score(scoring, metric, value, turn)
        for metric in ("privacy", "utility")
        for scoring, rounds in (("published", published), ("corrected", corrected))
        for turn, value in [*rounds.items(), (None, list(rounds.values())[-1])]
    )
    write_shard(store, KEY, [episode(1, family="access", scores=scores)])
    curves = _view(store, "privacy_by_round", "metric", "round")
    values = {
        name: [curves["published", "model-a", name, turn][2] for turn in range(1, 6)] for name in METRICS["access"]
    }
    assert values == {"privacy": [1.0, 0.5, 0.5, 0.25, 0.25], "utility": [0.0, 0.5, 0.5, 0.25, 0.25]}
    assert {curves["corrected", "model-a", "privacy", turn][2] for turn in range(1, 6)} == {0.75}


_SCENARIO = FAMILIES["access"].read(next(iter(FAMILIES["access"].generate(1, 3))))
_REPLIES = st.sampled_from(("leak", "greet", "unreadable", "empty", "done"))
_PLAYED = st.lists(st.lists(_REPLIES, max_size=6), min_size=2, max_size=8)


def _transcript(kinds: Sequence[str]) -> Transcript:
    """Returns the transcript of an agent whose replies are of these kinds, through an API."""
    resource, name = _SCENARIO.truth.resource, _SCENARIO.names[0]
    messages: list[Message] = []
    for turn, kind in enumerate(kinds, 1):
        text = resource if kind == "leak" else "Hello."
        reply = {"unreadable": "no object", "empty": "", "done": '{"goal_achieved": true}'}.get(kind)
        messages.append(raw_reply(turn, json.dumps({"target": name, "content": text}) if reply is None else reply))
        messages += [] if reply is not None else [delivered(turn, [name], text)]
        if kind == "done":
            break
    return Transcript(tuple(messages), from_api=True)


@given(_PLAYED)
@settings(max_examples=8, deadline=None)
def test_the_last_point_of_every_figure_is_the_leaderboard(played: list[list[str]]) -> None:
    """Also with replies that a scoring passes over; the cells of the other figures average to the leaderboard."""
    episodes = [
        episode(
            number,
            family="access",
            scenario_id=f"access-{number % 3}",
            attack=("none", "pressure", None)[number % 3],
            num_users=2 + number % 2,
            scores=FAMILIES["access"].score(_SCENARIO, _transcript(kinds)),
        )
        for number, kinds in enumerate(played)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        write_shard(store, KEY, episodes)
        with connect(store.url) as connection:
            rounds = connection.execute(
                "SELECT scoring, metric, mean, se, episodes FROM privacy_by_round "
                "QUALIFY round = max(round) OVER () ORDER BY ALL"
            ).fetchall()
            board = connection.execute(
                "SELECT scoring, metric, mean, se, episodes FROM leaderboard_cells "
                "WHERE metric IN ('privacy', 'utility') ORDER BY ALL"
            ).fetchall()
            parts = {
                view: connection.execute(f"SELECT scoring, metric, mean, episodes FROM {view}").fetchall()
                for view in ("by_attack_and_template", "by_num_users")
            }
    assert rounds == board
    assert {row[-1] for row in rounds} == {len(episodes)}
    for cells in parts.values():
        for scoring, metric, mean, _, count in board:
            found = [(cell[2], cell[3]) for cell in cells if cell[:2] == (scoring, metric)]
            assert sum(n for _, n in found) == count
            assert fsum(value * n for value, n in found) / count == pytest.approx(mean)


def test_runs_have_their_own_longest_round(store: ObjectStore) -> None:
    """A long run does not extend the curve of a short run."""
    for run, last in (("run-a", 1), ("run-b", 3)):
        scores = tuple(Score("published", "privacy", 1.0, turn) for turn in range(1, last + 1))
        write_shard(store, replace(KEY, run_id=run), [episode(1, run_id=run, family="access", scores=scores)])
    with connect(store.url) as connection:
        rows = connection.execute("SELECT run_id, max(round) FROM privacy_by_round GROUP BY ALL ORDER BY 1").fetchall()
    assert rows == [("run-a", 1), ("run-b", 3)]


def test_the_conflict_gap(filled: ObjectStore, episodes: list[Episode]) -> None:
    """Figure 3 shows aligned minus conflict; the squares of the two standard errors are added."""
    counts = _whole("instruct", "accuracy")
    cells: dict[tuple[Any, ...], list[tuple[float, str]]] = defaultdict(list)
    for one in episodes:
        for score in one.scores:
            if counts(one, score):
                cells[score.scoring, one.model, one.mode].append((score.value, one.scenario_id))
    with connect(filled.url) as connection:
        rows = connection.execute(
            "SELECT scoring, model, gap, gap_se, aligned_episodes, conflict_episodes FROM conflict_gap"
        ).fetchall()
    assert len(rows) == len(SCORINGS) * len(MODELS)
    for scoring, model, gap, gap_se, *counted in rows:
        pairs = [cells[scoring, model, mode] for mode in ("aligned", "conflict")]
        aligned, conflict = (clustered_mean(*map(list, zip(*values, strict=True))) for values in pairs)
        assert aligned.se
        assert conflict.se
        assert gap == pytest.approx(aligned.mean - conflict.mean)
        assert gap_se == pytest.approx(hypot(aligned.se, conflict.se))
        assert counted == [len(values) for values in pairs]


def test_a_gap_needs_both_sides(store: ObjectStore) -> None:
    """A model with scores in one mode has a row without a gap."""
    scores = (Score("published", "accuracy", 0.25),)
    write_shard(store, KEY, [episode(1, family="instruct", mode="conflict", scores=scores)])
    with connect(store.url) as connection:
        assert connection.execute("SELECT gap, gap_se, aligned, conflict FROM conflict_gap").fetchall() == [
            (None, None, None, 0.25)
        ]


NAMES = ("run_id", "scoring", "model", "base_model", "agent", "facts")
SHARED = (*NAMES, *(f"{c}{part}" for c in COLUMNS for part in ("", "_se")))
FIGURES = (*SHARED, "avg", "avg_se", "avg_columns", "protocol", "episodes")


@pytest.mark.parametrize("families", [tuple(METRICS), ("queue", "access")])
def test_the_leaderboard_in_sql_is_the_leaderboard(
    store: ObjectStore, episodes: list[Episode], families: tuple[str, ...]
) -> None:
    """The view equals the rows of the Python leaderboard, also for models without episodes of some family."""
    kept = [one for one in episodes if one.family in families and (one.model, one.family) != ("model-b", "access")]
    write_shard(store, KEY, kept)
    with connect(store.url) as connection:
        for scoring in SCORINGS:
            answer = connection.execute("FROM leaderboard WHERE scoring = $1", [scoring])
            assert [column[0] for column in answer.description or ()] == list(FIGURES)
            rows = answer.fetchall()
            board = leaderboard(connection, scoring)
            assert [row[2] for row in rows] == [row.model for row in board] == ["model-a", "model-b"]
            for shown, row in zip(rows, board, strict=True):
                figures = [figure for estimate in row.estimates.values() for figure in estimate or (None, None)]
                named = [getattr(row, name) for name in NAMES]
                wanted = [*named, *figures, row.avg, row.avg_se, row.avg_columns, "muses", row.episodes]
                assert shown == tuple(pytest.approx(v) if isinstance(v, float) else v for v in wanted)
                assert (row.avg is None) == (row.model == "model-b")


def test_an_average_of_unknown_error(store: ObjectStore) -> None:
    """With one scenario the standard error of the average is unknown, in SQL and in Python."""
    f1 = [episode(n, scenario_id=f"queue-{n}", scores=(Score("published", "f1", n / 2),)) for n in (0, 1)]
    success = episode(2, family="meeting", scenario_id="meeting-1", scores=(Score("published", "success", 0.75),))
    write_shard(store, KEY, [*f1, success])
    with connect(store.url) as connection:
        shown = connection.execute("SELECT queue_f1_se, meeting_success_se, avg, avg_se FROM leaderboard").fetchall()
        (row,) = leaderboard(connection)
    assert shown == [(row.estimates["queue_f1"].se, None, 0.5, None)]
    assert row.estimates["queue_f1"].se == pytest.approx(0.25)
    assert (row.avg, row.avg_se) == (0.5, None)
