"""The differences between two runs: their configurations, the common episodes, and the scores.

:func:`changes` compares two manifests and needs no store; :func:`common_episodes` compares the outcomes and scores of
the episodes that both runs have.  An episode's id is a hash of its inputs, so the same id in both runs means the same
scenario, model, sampling, users and epoch, whatever else has changed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.compare import ComparisonReport, ComparisonSettings, compare
from muses_eval.storage.analysis.model_in_run import ModelInRun, models_by_run
from muses_eval.storage.runs.manifest import RunManifest

GROUPS = (
    *(
        "dataset",
        "plan",
        "models",
        "agents",
        "sampling",
        "users",
        "scorers",
        "engines",
        "serving",
        "endpoints",
        "limits",
    ),
    *("prices", "execution", "code", "packages"),
)
"""Groups of differences, those that are likely to matter most first."""

_PARTS = {"endpoint": "endpoints", "limits": "limits", "prices": "prices", "engine": "engines"}
"""Key of a model's serving record in the manifest -> group; all other keys are in ``serving``."""
_NOT_OF_AGENT = frozenset({"name", "facts", "bundle"})
"""Fields of an agent that are shown with its model, and the archive of its code, which is compared by its digest."""
_IN_OTHER_GROUPS = frozenset(
    {
        *("name", "run_id", "store", "dataset", "families", "models", "users", "protocol", "templates", "epochs"),
        *("limit", "execution", "agents"),
    }
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two runs.  Values are JSON values; None when not set or missing."""

    group: str
    """One of :data:`GROUPS`."""
    what: str
    a: object
    b: object


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonEpisodes:
    """One model's episodes that are in both runs."""

    model: str
    episodes: int
    outcomes_changed: int
    """Number of episodes with another outcome."""
    scores_changed: int
    """Number of episodes that are scored in both runs, with different scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiff:
    """Two runs side by side."""

    a: str
    b: str
    changes: tuple[Change, ...]
    unknown: tuple[str, ...]
    """Runs with a manifest that is too old to record everything; facts that only one manifest has are not compared."""
    common: tuple[CommonEpisodes, ...]
    comparisons: tuple[ComparisonReport, ...]
    """One comparison for each model that both runs have."""


def diff(
    connection: duckdb.DuckDBPyConnection, a: RunManifest, b: RunManifest, settings: ComparisonSettings
) -> RunDiff:
    """Returns all differences.  *connection*: from :func:`muses_eval.storage.query.duckdb_connection.connect`."""
    return RunDiff(
        a=a.run_id,
        b=b.run_id,
        changes=changes(a, b),
        unknown=tuple(manifest.run_id for manifest in (a, b) if not manifest.made_with),
        common=common_episodes(connection, a.run_id, b.run_id),
        comparisons=tuple(_compared(connection, a.run_id, b.run_id, settings)),
    )


def changes(a: RunManifest, b: RunManifest) -> tuple[Change, ...]:
    """Returns the differences between two manifests, by group."""
    if not (a.made_with and b.made_with):
        a, b = replace(a, made_with={}), replace(b, made_with={})
    both = a.models.keys() & b.models.keys()
    facts_a, facts_b = dict(_facts(a, both)), dict(_facts(b, both))
    found = [Change(*fact, facts_a.get(fact), facts_b.get(fact)) for fact in {**facts_a, **facts_b}]
    return tuple(sorted((c for c in found if c.a != c.b), key=lambda change: GROUPS.index(change.group)))


def common_episodes(connection: duckdb.DuckDBPyConnection, a: str, b: str) -> tuple[CommonEpisodes, ...]:
    """Returns the comparison of the episodes that both runs have, by model; leaves out models without any."""
    rows = connection.execute(
        "WITH pairs AS ("
        "  SELECT model, list(outcome) AS outcomes, list(list_sort(scores)) AS scores"
        "  FROM episodes WHERE run_id IN ($a, $b) GROUP BY model, episode_id HAVING count(*) = 2)"
        " SELECT model, count(*), count(*) FILTER (outcomes[1] <> outcomes[2]),"
        " count(*) FILTER (outcomes[1] = 'scored' AND outcomes[2] = 'scored' AND scores[1] IS DISTINCT FROM scores[2])"
        " FROM pairs GROUP BY model ORDER BY model",
        {"a": a, "b": b},
    ).fetchall()
    return tuple(
        CommonEpisodes(model=model, episodes=episodes, outcomes_changed=outcomes, scores_changed=scores)
        for model, episodes, outcomes, scores in rows
    )


def _compared(
    connection: duckdb.DuckDBPyConnection, a: str, b: str, settings: ComparisonSettings
) -> Iterator[ComparisonReport]:
    played = models_by_run(connection)
    for model in sorted(set(played.get(a, ())) & set(played.get(b, ()))):
        try:
            yield compare(connection, ModelInRun(a, model), ModelInRun(b, model), settings)
        except StoreError:
            raise
        except MusesError:  # no scored scenario in common
            continue


def _facts(manifest: RunManifest, models: Collection[str]) -> Iterator[tuple[tuple[str, str], object]]:
    """Yields ((group, what), value) for everything that may explain a difference in scores.

    *models*: models that both runs have; for any other model only its name is yielded.
    """
    made = manifest.made_with
    common = {name: identity for name, identity in manifest.models.items() if name in models}
    called = {identity.get("base_model", name) for name, identity in common.items()}
    agents = {identity["agent"]["name"] for identity in common.values() if "agent" in identity}
    yield ("dataset", "name"), manifest.dataset
    yield ("dataset", "version"), manifest.dataset_version
    yield from _named("dataset", made.get("rows", {}), "version of ")
    yield from _planned(manifest, models)
    for model, identity in manifest.models.items():
        agent = identity.get("agent", {})
        played_by = f", agent {agent.get('name')}, facts {agent.get('facts')}" if agent else ""
        yield ("models", model), f"{identity.get('provider')}:{identity.get('model')}{played_by}"
        if model in models:
            yield from _named("agents", {k: v for k, v in agent.items() if k not in _NOT_OF_AGENT}, f"{model} ")
            yield from _named("sampling", identity.get("sampling", {}), f"{model} ")
            yield ("sampling", f"{model} system_role"), identity.get("system_role", "send")
    yield ("users", "who"), manifest.users
    yield from _serving("users' model", made.get("simulator", {}))
    yield from _named("scorers", made.get("scorers", {}), "version of ")
    for agent, limits in made.get("agents", {}).items():
        if agent in agents:
            yield from _named("agents", limits, f"{agent} ")
    for model, serving in made.get("serving", {}).items():
        if model in called:
            yield from _serving(model, serving)
    settings = {**manifest.config, **manifest.config.get("execution", {})}
    yield ("prices", "table of defaults"), made.get("price_table")
    yield from _named("execution", {key: settings[key] for key in sorted(settings.keys() - _IN_OTHER_GROUPS)}, "")
    yield ("code", "commit"), manifest.commit
    yield ("code", "dirty"), manifest.dirty
    yield ("code", "uncommitted changes"), made.get("changes")
    yield from _named("packages", manifest.versions, "")
    yield from _named("packages", {what: made.get(what) for what in ("python", "platform", "lock")}, "")


def _planned(manifest: RunManifest, models: Collection[str]) -> Iterator[tuple[tuple[str, str], object]]:
    for (model, family), episodes in manifest.planned.items():
        if model in models:
            yield ("plan", f"episodes of {model} on {family}"), episodes
    yield ("plan", "protocol"), manifest.protocol
    yield ("plan", "templates"), list(manifest.templates)
    yield ("plan", "epochs"), manifest.epochs
    yield ("plan", "limit"), manifest.limit


def _serving(model: str, serving: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], object]]:
    """Yields the endpoint, engine, limits and prices of a model."""
    for part, value in serving.items():
        if part in _PARTS:
            yield from _named(_PARTS[part], value, f"{model} ")
        else:
            yield from _named("serving", {part: value}, f"{model} ")


def _named(group: str, values: object, prefix: str) -> Iterator[tuple[tuple[str, str], object]]:
    for path, value in _leaves(values):
        yield (group, (prefix + ".".join(path)).strip()), value


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, value
