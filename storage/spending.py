"""What a run has used so far, read from its calls: every attempt that is stored counts, for every one was paid for."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from pipeline.estimate import Load, Side
from pipeline.usage import Usage
from storage.frames import scan_objects
from storage.objects import ObjectStore
from storage.traces import read_trace_objects

if TYPE_CHECKING:
    import polars as pl

_COUNTS = ("prompt_tokens", "completion_tokens")


def read_spending(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> Usage:
    """What all stored attempts used together; *damaged*: keys of objects that are passed over."""
    import polars as pl

    fresh = _calls(store, run_id, damaged).filter(~pl.col("cached"))
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


def read_untold(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> tuple[str, ...]:
    """The episodes, once an attempt, of which a call did not tell its tokens or has no known cost."""
    import polars as pl

    untold = pl.any_horizontal(pl.col(name).is_null() for name in (*_COUNTS, "cost_usd"))
    calls = _calls(store, run_id, damaged).filter(~pl.col("cached") & untold)
    return tuple(calls.select("episode_id", "attempt").unique().collect()["episode_id"])


def read_loads(store: ObjectStore, run_id: str, damaged: Collection[str] = ()) -> Mapping[str, Load]:
    """Episode id -> what it took, of scored episodes whose calls all told their tokens.

    Answers out of the response cache count as they did when they were first given.
    """
    import polars as pl

    calls = _calls(store, run_id, damaged).filter(pl.col("outcome") == "scored")
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


def _calls(store: ObjectStore, run_id: str, damaged: Collection[str]) -> "pl.LazyFrame":
    """One row a call of any attempt."""
    import polars as pl

    keys = [key for key in read_trace_objects(store, run_id) if key not in damaged]
    rows = scan_objects(store, keys).select("episode_id", "attempt", "outcome", "calls")
    return rows.explode("calls").filter(pl.col("calls").is_not_null()).unnest("calls")
