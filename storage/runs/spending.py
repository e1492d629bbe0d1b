"""The spending of a run: tokens and cost of its calls.  Every stored attempt counts, because every one was paid for.

Calls are summed within their row, and rows are streamed, so memory use is a few numbers per attempt.  An interrupted
compaction may leave an attempt both in a shard and in a sealed object; it counts once.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage, RoleUsage
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.polars_frames import scan_objects
from muses_eval.storage.runs.live_objects import manifests_of, read_live_objects

if TYPE_CHECKING:
    import polars as pl

_ATTEMPT = ("episode_id", "shard", "attempt")
_COUNTS = ("prompt_tokens", "completion_tokens")


def read_spending(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> CallUsage:
    """Returns the usage of all attempts of a run, those that compaction dropped included.

    *damaged* are keys of objects that are skipped.
    """
    dropped = sum((manifest.superseded_usage for manifest in manifests_of(store, run_id)), CallUsage())
    return dropped + usage_of(store, _intact_objects(store, run_id, damaged))


def usage_of(store: ObjectStore, keys: Sequence[str]) -> CallUsage:
    """Returns the usage of the attempts in these objects; an attempt in several objects counts once."""
    import polars as pl

    calls = _uncached_calls()
    attempts = scan_objects(store, keys).select(
        *_ATTEMPT,
        calls=calls.list.len(),
        **{name: _sum(calls, name) for name in _COUNTS},
        usd=_sum(calls, "cost_usd"),
        uncounted=_unknown(calls, *_COUNTS).list.sum(),
        unpriced=_unknown(calls, "cost_usd").list.sum(),
    )
    sums = attempts.unique(_ATTEMPT).select(pl.exclude(_ATTEMPT).sum())
    return CallUsage(**sums.collect(engine="streaming").row(0, named=True))


def read_unknown_usage(
    store: ObjectStore, run_id: str, damaged: Collection[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns episode ids, one per attempt: with a call of unknown cost, and with a call of unknown token counts."""
    import polars as pl

    calls = _uncached_calls()
    attempts = scan_objects(store, _intact_objects(store, run_id, damaged)).select(
        *_ATTEMPT,
        unpriced=_unknown(calls, "cost_usd").list.any(),
        uncounted=_unknown(calls, *_COUNTS).list.any(),
    )
    unknown = attempts.filter(pl.col("unpriced") | pl.col("uncounted")).unique(_ATTEMPT).collect(engine="streaming")
    unpriced, uncounted = (tuple(unknown.filter(name)["episode_id"]) for name in ("unpriced", "uncounted"))
    return unpriced, uncounted


def read_measured_usage(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> Mapping[str, EpisodeUsage]:
    """Returns episode id -> usage, for scored episodes whose calls all reported their tokens.

    Replies from the response cache count as when they were first received.
    """
    import polars as pl

    calls = pl.col("calls")
    # Flat columns: Polars holds three times as much for structs.
    sums = {
        f"{role} {name}": each
        for role in ("agent", "user")
        for name, each in _role_usage(calls.list.filter(pl.element().struct.field("role") == role)).items()
    }
    attempts = (
        scan_objects(store, _intact_objects(store, run_id, damaged))
        .filter(pl.col("outcome") == "scored", calls.list.len() > 0)
        .select(*_ATTEMPT, **sums, unknown=_unknown(calls, *_COUNTS).list.any())
        .filter(~pl.col("unknown"))
        .unique(_ATTEMPT)
        .sort("attempt")
        .select("episode_id", *sums)
        .collect(engine="streaming")
    )
    return {row[0]: EpisodeUsage(RoleUsage(*row[1:5]), RoleUsage(*row[5:])) for row in attempts.iter_rows()}


def _intact_objects(store: ObjectStore, run_id: str, damaged: Collection[str]) -> list[str]:
    return [key for key in read_live_objects(store, run_id) if key not in damaged]


def _uncached_calls() -> "pl.Expr":
    """The calls of a row that reached a provider, not the response cache."""
    import polars as pl

    return pl.col("calls").list.filter(~pl.element().struct.field("cached"))


def _role_usage(calls: "pl.Expr") -> "dict[str, pl.Expr]":
    """Returns the fields of a :class:`RoleUsage`, in their order."""
    return {
        "calls": calls.list.len(),
        **{name: _sum(calls, name) for name in _COUNTS},
        "seconds": _sum(calls, "latency_s"),
    }


def _sum(calls: "pl.Expr", name: str) -> "pl.Expr":
    """Sums the known values."""
    import polars as pl

    return calls.list.eval(pl.element().struct.field(name)).list.sum()


def _unknown(calls: "pl.Expr", *names: str) -> "pl.Expr":
    """A list with True for each call in which one of these values is unknown."""
    import polars as pl

    return calls.list.eval(pl.any_horizontal(pl.element().struct.field(name).is_null() for name in names))
