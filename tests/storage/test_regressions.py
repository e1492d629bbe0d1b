"""Regressions and drift: only significant differences between comparable runs are flagged."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import digest
from muses_eval.storage.analysis.regressions import compare_with_canaries, compare_with_last_night
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import CellRecord, RunManifest, create_or_check, find_manifest
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, scored

SCENARIOS = [f"s{number}" for number in range(20)]
Scores = Mapping[str, Mapping[str, float]]
"""Scores by model and scenario (f1)."""


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path / "store"))


def put(
    store: ObjectStore,
    run_id: str,
    scores: Scores,
    *,
    played_in: str | None = None,
    rows: str = "rows",
    users: str = "scripted",
    keys: Mapping[str, str] | None = None,
) -> RunManifest:
    """Stores a run with these scores; *keys* are content keys of models that differ from the default."""
    cells = tuple(
        CellRecord(
            model=model,
            family="queue",
            template="published",
            content_key=digest((keys or {}).get(model, "key")),
            played_in=played_in or run_id,
        )
        for model in scores
    )
    planned = {(model, "queue"): len(SCENARIOS) for model in scores}
    manifest = replace(MANIFEST, run_id=run_id, cells=cells, planned=planned, made_with={"rows": {"queue": rows}})
    create_or_check(store, manifest)
    for number, (model, by_scenario) in enumerate(scores.items()):
        episodes = [
            scored(
                (model, scenario),
                {"f1": value},
                run_id=run_id,
                model=model,
                scenario_id=scenario,
                shard=number,
                users=users,
            )
            for scenario, value in by_scenario.items()
        ]
        write_shard(store, ShardKey(run_id, model, "queue", number, 1), episodes)
    return find_manifest(store, run_id)


def level(mean: float, seed: int, names: Iterable[str] = SCENARIOS) -> dict[str, float]:
    """Returns noisy scores around a mean."""
    dice = random.Random(seed)
    return {name: min(1.0, max(0.0, mean + dice.uniform(-0.2, 0.2))) for name in names}


def test_a_worse_and_a_better_model_are_flagged(folder: ObjectStore) -> None:
    """Flags have the means over the common scenarios; a model that differs only by noise is not flagged."""
    before = put(folder, "n-1", {"a": level(0.7, 1), "b": level(0.5, 2), "c": level(0.4, 3)})
    tonight = put(folder, "n-2", {"a": level(0.3, 4), "b": level(0.5, 5), "c": level(0.75, 6)})
    found = compare_with_last_night(folder, tonight, before, 0.01)
    assert found.tested == 3
    by_model = {flag.model: flag for flag in found.flags}
    assert {model: flag.kind for model, flag in by_model.items()} == {"a": "regression", "c": "improvement"}
    worse = by_model["a"]
    assert (worse.column, worse.scenarios, worse.against, worse.runs) == ("queue_f1", 20, "n-1", 1)
    assert worse.before - worse.now == pytest.approx(-worse.difference)
    assert worse.before == pytest.approx(0.7, abs=0.05)
    assert worse.p_adjusted < 0.01


def test_what_was_taken_over_is_not_asked_about(folder: ObjectStore) -> None:
    before = put(folder, "n-1", {"a": level(0.7, 1)})
    tonight = put(folder, "n-2", {"a": level(0.7, 1)}, played_in="n-1")
    assert compare_with_last_night(folder, tonight, before, 0.01).tested == 0


def test_other_scenarios_are_not_compared(folder: ObjectStore) -> None:
    before = put(folder, "n-1", {"a": level(0.9, 1)})
    tonight = put(folder, "n-2", {"a": level(0.1, 1)}, rows="others")
    assert compare_with_last_night(folder, tonight, before, 0.01).tested == 0


def test_another_protocol_is_not_compared(folder: ObjectStore) -> None:
    before = put(folder, "n-1", {"a": level(0.9, 1)})
    tonight = replace(put(folder, "n-2", {"a": level(0.1, 1)}), protocol="released")
    assert compare_with_last_night(folder, tonight, before, 0.01).tested == 0


def test_a_model_without_a_past_is_not_compared(folder: ObjectStore) -> None:
    before = put(folder, "n-1", {"a": level(0.9, 1)})
    tonight = put(folder, "n-2", {"new": level(0.1, 1)})
    assert compare_with_last_night(folder, tonight, before, 0.01).flags == ()


def test_what_else_was_other_is_told_with_a_flag(folder: ObjectStore) -> None:
    """Cautions are reported for flagged models only."""
    before = put(folder, "n-1", {"a": level(0.9, 1), "b": level(0.5, 2)})
    tonight = put(folder, "n-2", {"a": level(0.1, 3), "b": level(0.5, 4)}, users="openai:u")
    (caution,) = compare_with_last_night(folder, tonight, before, 0.01).cautions
    assert caution.startswith("a: the users were not the same (openai:u, scripted)")


def test_many_questions_are_corrected_together(folder: ObjectStore) -> None:
    """A difference that would be flagged by itself is not flagged among many comparisons."""
    small = {name: 0.5 + 0.1 * (number % 3 == 0) for number, name in enumerate(SCENARIOS)}
    alone = put(folder, "n-1", {"a": small})
    flat = dict.fromkeys(SCENARIOS, 0.5)
    tonight = put(folder, "n-2", {"a": flat})
    (flag,) = compare_with_last_night(folder, tonight, alone, 0.05).flags
    others = {f"m{number}": level(0.5, number) for number in range(30)}
    again = {f"m{number}": level(0.5, 100 + number) for number in range(30)}
    many, tonight = put(folder, "n-3", {"a": small, **others}), put(folder, "n-4", {"a": flat, **again})
    assert flag.p_adjusted > 0.05 / 31
    assert "a" not in {each.model for each in compare_with_last_night(folder, tonight, many, 0.05).flags}


def test_drift_is_told_against_the_mean_of_the_past(folder: ObjectStore) -> None:
    earlier = [put(folder, f"c-{day}", {"a": level(0.7, day), "b": level(0.5, 10 + day)}) for day in (3, 2, 1)]
    tonight = put(folder, "c-4", {"a": level(0.4, 20), "b": level(0.5, 21)})
    found = compare_with_canaries(folder, tonight, earlier, 0.01)
    (flag,) = found.flags
    assert (flag.kind, flag.model, flag.against, flag.runs, found.tested) == ("drift", "a", "c-1", 3, 2)
    assert flag.before == pytest.approx(0.7, abs=0.05)
    assert flag.now == pytest.approx(0.4, abs=0.06)


def test_no_drift_where_nothing_moves(folder: ObjectStore) -> None:
    """With noise alone, flags are as rare as alpha over many nights."""
    flagged = 0
    runs: list[RunManifest] = []
    for night in range(25):
        tonight = put(folder, f"c-{night:02}", {"a": level(0.5, night), "b": level(0.5, 1000 + night)})
        flagged += bool(compare_with_canaries(folder, tonight, runs[::-1], 0.01).flags)
        runs.append(tonight)
    assert flagged <= 1


def test_a_past_in_which_something_of_ours_was_other_does_not_count(folder: ObjectStore) -> None:
    """A changed content key restarts the history of its model, and of no other model."""
    earlier = [
        put(folder, "c-2", {"a": level(0.9, 1), "b": level(0.9, 2)}, keys={"a": "old"}),
        put(folder, "c-1", {"a": level(0.9, 3), "b": level(0.9, 4)}, keys={"a": "old"}),
    ]
    tonight = put(folder, "c-3", {"a": level(0.1, 5), "b": level(0.1, 6)})
    found = compare_with_canaries(folder, tonight, earlier, 0.01)
    assert [(flag.model, flag.runs) for flag in found.flags] == [("b", 2)]
    assert found.tested == 1
    assert compare_with_canaries(folder, tonight, [], 0.01).tested == 0


def test_damage_is_named(folder: ObjectStore) -> None:
    before, tonight = put(folder, "c-1", {"a": level(0.9, 1)}), put(folder, "c-2", {"a": level(0.9, 2)})
    key = str(ShardKey("c-1", "a", "queue", 0, 1))
    folder.delete(key)
    folder.put_if_absent(key, b"no parquet")
    for compare in (
        lambda: compare_with_canaries(folder, tonight, [before], 0.01),
        lambda: compare_with_last_night(folder, tonight, before, 0.01),
    ):
        with pytest.raises(StoreError, match=r"c-2 and c-1 cannot be compared: .*muses store verify"):
            compare()


def test_a_score_that_is_no_number_is_named(folder: ObjectStore) -> None:
    before = put(folder, "c-1", {"a": level(0.9, 1)})
    tonight = put(folder, "c-2", {"a": {**level(0.9, 2), "s3": float("nan")}})
    with pytest.raises(StoreError, match="not a finite number"):
        compare_with_canaries(folder, tonight, [before], 0.01)


def test_both_kinds_of_store(store: ObjectStore) -> None:
    before = put(store, "c-1", {"a": level(0.9, 1)})
    tonight = put(store, "c-2", {"a": level(0.1, 2)})
    assert [flag.kind for flag in compare_with_canaries(store, tonight, [before], 0.01).flags] == ["drift"]
    assert [flag.kind for flag in compare_with_last_night(store, tonight, before, 0.01).flags] == ["regression"]
