"""Differences between two runs: their configurations, and the episodes that both have."""

from dataclasses import replace
from typing import Any

import pytest
from muses_eval.storage.analysis.compare import ComparisonSettings
from muses_eval.storage.analysis.run_diff import GROUPS, Change, changes, diff
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import RunManifest, create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, failed, scored

MADE = {
    "changes": None,
    "python": "3.11.7",
    "platform": "Linux-x86_64",
    "lock": "aaaa",
    "rows": {"queue": "1111"},
    "scorers": {"queue": 1},
    "simulator": {},
    "serving": {
        "model-a": {
            "endpoint": {"base_urls": ["http://one/v1"], "timeout_s": 120.0},
            "limits": {"requests_per_minute": None, "concurrency": 8},
            "prices": {"input": 1.0, "output": 2.0},
            "engine": {"args": {"max_model_len": 8192}, "tensor_parallel": 1},
        }
    },
}
SAMPLING = {"temperature": 1.0, "seed": None}
RUN = replace(
    MANIFEST,
    made_with=MADE,
    models={"model-a": {"provider": "openai", "model": "m", "sampling": SAMPLING}},
    config={"name": "nightly", "coverage": 0.99, "execution": {"shard_size": 32}},
)


def served(part: str, **values: Any) -> RunManifest:
    """Returns the run with one part of its serving record changed."""
    model = MADE["serving"]["model-a"]  # type: ignore[index]
    return replace(RUN, made_with=MADE | {"serving": {"model-a": model | {part: model.get(part, {}) | values}}})


def test_nothing_changed() -> None:
    """A different start time or name is not a difference."""
    assert changes(RUN, replace(RUN, run_id="run-b", config=dict(RUN.config) | {"name": "other", "store": "s"})) == ()


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (replace(RUN, dataset="official"), ("dataset", "name", "generated:tiny@0", "official")),
        (replace(RUN, dataset_version="2"), ("dataset", "version", "0123456789abcdef", "2")),
        (replace(RUN, made_with=MADE | {"rows": {"queue": "2222"}}), ("dataset", "version of queue", "1111", "2222")),
        (replace(RUN, epochs=3), ("plan", "epochs", 2, 3)),
        (replace(RUN, limit=None), ("plan", "limit", 6, None)),
        (replace(RUN, protocol="released"), ("plan", "protocol", "muses", "released")),
        (replace(RUN, templates=("xml",)), ("plan", "templates", ["published"], ["xml"])),
        (
            replace(RUN, planned={**RUN.planned, ("model-a", "access"): 5}),
            ("plan", "episodes of model-a on access", None, 5),
        ),
        (
            replace(RUN, models={"model-a": {"provider": "vllm", "model": "m", "sampling": SAMPLING}}),
            ("models", "model-a", "openai:m", "vllm:m"),
        ),
        (
            replace(RUN, models={"model-a": {**RUN.models["model-a"], "sampling": SAMPLING | {"temperature": 0.5}}}),
            ("sampling", "model-a temperature", 1.0, 0.5),
        ),
        (
            replace(RUN, models={"model-a": {**RUN.models["model-a"], "system_role": "fold"}}),
            ("sampling", "model-a system_role", "send", "fold"),
        ),
        (replace(RUN, users="openai:u"), ("users", "who", "scripted", "openai:u")),
        (
            replace(RUN, made_with=MADE | {"simulator": {"prices": {"input": 3.0}}}),
            ("prices", "users' model input", None, 3.0),
        ),
        (replace(RUN, made_with=MADE | {"scorers": {"queue": 2}}), ("scorers", "version of queue", 1, 2)),
        (served("engine", args={"max_model_len": 4096}), ("engines", "model-a args.max_model_len", 8192, 4096)),
        (
            served("engine", args={"max_model_len": 8192, "revision": "r"}),
            ("engines", "model-a args.revision", None, "r"),
        ),
        (served("limits", concurrency=64), ("limits", "model-a concurrency", 8, 64)),
        (
            replace(RUN, made_with=MADE | {"price_table": "2026-11-01"}),
            ("prices", "table of defaults", None, "2026-11-01"),
        ),
        (served("prices", output=4.0), ("prices", "model-a output", 2.0, 4.0)),
        (
            served("endpoint", base_urls=["http://two/v1"]),
            ("endpoints", "model-a base_urls", ["http://one/v1"], ["http://two/v1"]),
        ),
        (served("server", vllm="0.12"), ("serving", "model-a server.vllm", None, "0.12")),
        (
            replace(RUN, config={**RUN.config, "execution": {"shard_size": 64}}),
            ("execution", "shard_size", 32, 64),
        ),
        (replace(RUN, config={**RUN.config, "budget": {"usd": 5.0}}), ("execution", "budget.usd", None, 5.0)),
        (replace(RUN, commit="f" * 40), ("code", "commit", "0" * 40, "f" * 40)),
        (replace(RUN, dirty=True), ("code", "dirty", False, True)),
        (replace(RUN, made_with=MADE | {"changes": "cc"}), ("code", "uncommitted changes", None, "cc")),
        (replace(RUN, versions={"muses-eval": "0.2.0"}), ("packages", "muses-eval", "0.1.0", "0.2.0")),
        (replace(RUN, made_with=MADE | {"lock": "bbbb"}), ("packages", "lock", "aaaa", "bbbb")),
        (replace(RUN, made_with=MADE | {"python": "3.12.1"}), ("packages", "python", "3.11.7", "3.12.1")),
    ],
)
def test_one_thing_changed(other: RunManifest, expected: tuple[str, str, object, object]) -> None:
    """The only difference reported is the changed value, in its group and with both values."""
    assert changes(RUN, other) == (Change(*expected),)
    group, what, a, b = expected
    assert changes(other, RUN) == (Change(group, what, b, a),)
    assert group in GROUPS


def test_a_model_that_only_one_run_has() -> None:
    """A model that only one run has is a single difference."""
    other = replace(
        RUN,
        models={**RUN.models, "model b": {"provider": "openai", "model": "b", "sampling": {"temperature": 0.1}}},
        planned={**RUN.planned, ("model b", "queue"): 12},
        made_with=MADE | {"serving": {**MADE["serving"], "model b": {"limits": {"concurrency": 1}}}},  # type: ignore[dict-item]
    )
    assert changes(RUN, other) == (Change("models", "model b", None, "openai:b"),)


def test_an_agent_is_part_of_its_model() -> None:
    """Facts are named with the model; the rest has a group of its own.  Its model is served under its own name."""
    agent = {"name": "guard", "kind": "python", "code": "aaaa", "options": {"strict": True}, "facts": "prose"}
    entry = {"provider": "openai", "model": "m", "sampling": SAMPLING, "base_model": "m", "agent": agent}
    before, after = (
        replace(RUN, models={"m + guard": {**entry, "agent": agent | changed}})
        for changed in ({}, {"code": "bbbb", "bundle": "x", "options": {"strict": False}, "facts": "structured"})
    )
    limits = {"agents": {"guard": {"max_calls": 8}, "told": {"max_calls": 1}}, "serving": {"m": {"engine": "0.11"}}}
    after = replace(after, made_with=MADE | limits)
    assert [(change.group, change.what, change.a, change.b) for change in changes(before, after)] == [
        ("models", "m + guard", "openai:m, agent guard, facts prose", "openai:m, agent guard, facts structured"),
        ("agents", "m + guard code", "aaaa", "bbbb"),
        ("agents", "m + guard options.strict", True, False),
        ("agents", "guard max_calls", None, 8),
        ("engines", "m", None, "0.11"),
    ]


def test_a_run_that_says_less() -> None:
    """With an older manifest, only facts that both manifests record are compared."""
    old = replace(RUN, made_with={}, epochs=1)
    assert changes(old, RUN) == (Change("plan", "epochs", 1, 2),)


def test_changes_come_by_group() -> None:
    other = replace(RUN, versions={}, epochs=7, dataset="x", users="y", made_with=MADE | {"lock": None})
    groups = [change.group for change in changes(RUN, other)]
    assert groups == sorted(groups, key=GROUPS.index)
    assert set(groups) == {"dataset", "plan", "users", "packages"}


def test_what_became_of_the_same_episodes(store: ObjectStore) -> None:
    """Common episodes are matched by id; episodes of one run only are ignored."""
    both = {"run_id": "run-b", "scenario_id": "s"}
    first = [
        scored("same", {"f1": 0.5}, scenario_id="s1"),
        scored("same too", {"f1": 1.0}, scenario_id="s7"),
        scored("changed", {"f1": 0.5}, scenario_id="s2"),
        scored("lost", {"f1": 0.5}, scenario_id="s3"),
        scored("only a", {"f1": 0.5}, scenario_id="s4"),
        failed("never", scenario_id="s5"),
    ]
    second = [
        scored("same", {"f1": 0.5}, **both | {"scenario_id": "s1"}),
        scored("same too", {"f1": 1.0}, **both | {"scenario_id": "s7"}),
        scored("changed", {"f1": 1.0}, **both | {"scenario_id": "s2"}),
        failed("lost", **both | {"scenario_id": "s3"}),
        scored("only b", {"f1": 0.5}, **both | {"scenario_id": "s6"}),
        failed("never", **both | {"scenario_id": "s5"}),
    ]
    for run, episodes in (("run-a", first), ("run-b", second)):
        create_or_check(store, replace(RUN, run_id=run))
        write_shard(store, ShardKey(run, "model-a", "queue", 0, 1), episodes)
    with connect(store.url) as connection:
        found = diff(connection, RUN, replace(RUN, run_id="run-b"), ComparisonSettings())
    (common,) = found.common
    assert (common.model, common.episodes, common.outcomes_changed, common.scores_changed) == ("model-a", 5, 1, 1)
    (answer,) = found.comparisons
    assert [column.column for column in answer.comparison.columns] == ["queue_f1"]
    assert answer.comparison.columns[0].scenarios == 3
    assert answer.comparison.columns[0].difference.mean == pytest.approx(-0.5 / 3)
    assert (found.changes, found.unknown) == ((), ())


def test_runs_without_anything_in_common(store: ObjectStore) -> None:
    for run in ("run-a", "run-b"):
        create_or_check(store, replace(RUN, run_id=run))
        write_shard(store, ShardKey(run, "m", "queue", 0, 1), [scored(run, {"f1": 0.5}, run_id=run, scenario_id=run)])
    with connect(store.url) as connection:
        found = diff(connection, replace(RUN, made_with={}), replace(RUN, run_id="run-b"), ComparisonSettings())
    assert (found.common, found.comparisons, found.unknown) == ((), (), ("run-a",))
