"""What a run has used so far, read from its calls: every attempt that is stored counts, for every one was paid for."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.estimate import Load, Side
from pipeline.usage import Usage
from storage.frames import scan_objects
from storage.objects import ObjectStore
from storage.traces import manifests_of, read_trace_objects

if TYPE_CHECKING:
    import polars as pl

_COUNTS = ("prompt_tokens", "completion_tokens")


def read_spending(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> Usage:
    """What all attempts used together, also those that seals have dropped.

    *damaged*: keys of objects that are passed over.
    """
    dropped = sum((manifest.superseded for manifest in manifests_of(store, run_id)), Usage())
    return dropped + usage_of(store, _there(store, run_id, damaged))


def usage_of(store: ObjectStore, keys: Sequence[str]) -> Usage:
    """What the attempts in these objects used; one that lies in several of them counts once."""
    import polars as pl

    fresh = _calls(store, keys).filter(~pl.col("cached"))
    sums = (
        fresh.select(
            calls=pl.len(),
            prompt_tokens=pl.col("prompt_tokens").sum(),
            completion_tokens=pl.col("completion_tokens").sum(),
            usd=pl.col("cost_usd").sum(),
            uncounted=pl.any_horizontal(pl.col(name).is_null() for name in _COUNTS).sum(),
            unpriced=pl.col("cost_usd").is_null().sum(),
        )
        .collect()
        .row(0, named=True)
    )
    return Usage(**sums)


def read_untold(
    store: ObjectStore, run_id: str, damaged: Collection[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The episodes, once an attempt, of which a call has no known cost; those of which one did not tell its tokens."""
    import polars as pl

    calls = _calls(store, _there(store, run_id, damaged)).filter(~pl.col("cached"))

    def without(*columns: str) -> tuple[str, ...]:
        untold = calls.filter(pl.any_horizontal(pl.col(name).is_null() for name in columns))
        return tuple(untold.select("episode_id", "attempt").unique().collect()["episode_id"])

    return without("cost_usd"), without(*_COUNTS)


def read_loads(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> Mapping[str, Load]:
    """Episode id -> what it took, of scored episodes whose calls all told their tokens.

    Answers out of the response cache count as they did when they were first given.
    """
    import polars as pl

    calls = _calls(store, _there(store, run_id, damaged)).filter(pl.col("outcome") == "scored")
    sums = calls.group_by("episode_id", "attempt", "role").agg(
        calls=pl.len(),
        **{name: pl.col(name).sum() for name in _COUNTS},
        seconds=pl.col("latency_s").sum(),
        unknown=pl.any_horizontal(pl.col(name).is_null() for name in _COUNTS).any(),
    )
    rows = sums.sort("attempt").collect().iter_rows(named=True)
    sides: dict[str, dict[str, Side]] = {}
    silent = set()
    for row in rows:
        side = Side(row["calls"], row["prompt_tokens"], row["completion_tokens"], row["seconds"])
        sides.setdefault(row["episode_id"], {})[row["role"]] = side
        if row["unknown"]:
            silent.add(row["episode_id"])
    return {
        episode: Load(by_role.get("agent", Side()), by_role.get("user", Side()))
        for episode, by_role in sides.items()
        if episode not in silent
    }


def _there(store: ObjectStore, run_id: str, damaged: Collection[str]) -> list[str]:
    return [key for key in read_trace_objects(store, run_id) if key not in damaged]


def _calls(store: ObjectStore, keys: Sequence[str]) -> "pl.LazyFrame":
    """One row a call of any attempt.  A seal that was cut off leaves attempts twice, in a shard and sealed."""
    import polars as pl

    attempt = ("episode_id", "shard", "attempt")
    rows = scan_objects(store, keys).select(*attempt, "outcome", "calls").unique(attempt)
    return rows.explode("calls").filter(pl.col("calls").is_not_null()).unnest("calls")
