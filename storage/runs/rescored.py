"""Rescored episodes: scores that were recomputed from stored transcripts, stored beside the original ones.

The parts of one (run, family, scorer version) form an append-only log: a writer reads parts 0 to n-1 before it writes
part n, and the write is conditional.  When two processes write the same part, one of them fails, reads the part and
continues with the remaining episodes.  An interrupted rescore is completed by the next one, and no episode is stored
twice.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey, rescored_keys
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.query.polars_frames import newest_scores, scan_objects
from muses_eval.storage.runs.live_objects import read_live_objects
from muses_eval.storage.runs.shards import read_verified_columns
from muses_eval.storage.schema.parquet_schema import RESCORED_SCHEMA, to_parquet, to_table

T = TypeVar("T")

_COLUMNS = ("episode_id", "outcome", "attempt", "shard", "scorer_version", "object")


@dataclass(frozen=True, slots=True)
class RescoredEpisode:
    """The scores of one episode by one version of its family's scorer, and their evidence."""

    run_id: str
    episode_id: str
    scorer_version: int
    scores: tuple[Score, ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingRescore:
    """The episodes of one family of a run that still have to be rescored."""

    episodes: Mapping[str, frozenset[str]]
    """Object key -> ids of its episodes that count and whose scores are of an older version, or have no evidence."""
    next_part: int
    current: int
    """Number of scored episodes whose scores are of this version, with evidence, or of a newer one."""
    unscored: int
    """Number of episodes without scores, which cannot be rescored."""

    @property
    def count(self) -> int:
        return sum(map(len, self.episodes.values()))


def played_families(store: ObjectStore, run_id: str) -> tuple[str, ...]:
    """Returns the families of a run's stored episodes, sorted."""
    import polars as pl

    objects = read_live_objects(store, run_id)
    shards = [key for key in map(ShardKey.parse, objects) if key is not None]
    sealed = [key for key in objects if ShardKey.parse(key) is None]
    found = scan_objects(store, sealed).select("family").unique().collect()["family"] if sealed else pl.Series()
    return tuple(sorted({*(key.family for key in shards), *found}))


def read_pending_rescore(store: ObjectStore, run_id: str, family: str, version: int) -> PendingRescore:
    """Returns the episodes that a scorer of this version still has to score.  Reads no transcripts.

    Raises:
        StoreError: an object is damaged; the message names it.
    """
    import polars as pl

    keys = [key for key in read_live_objects(store, run_id) if _may_hold(key, family)]
    parts = [key for key in rescored_keys(store, run_id) if key.family == family]
    try:
        rows = scan_objects(store, keys, object_column="object").filter(pl.col("family") == family)
        explained = pl.col("evidence").is_not_null()
        attempts = rows.select(*_COLUMNS, explained=explained).collect()
        rescored = (
            newest_scores(store, parts).select("episode_id", new="scorer_version", new_explained=explained).collect()
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        for key in keys:
            read_verified_columns(store, key, ("episode_id",))  # names the object that cannot be read
        raise StoreError(f"store {store.url}: cannot read the traces of {run_id!r}: {error}") from error
    scored = (
        attempts.filter(pl.col("outcome") == "scored")
        .sort(pl.col("attempt"), pl.col("shard"), descending=[True, False])
        .unique("episode_id", keep="first", maintain_order=True)
        .join(rescored, on="episode_id", how="left")
    )
    newest = pl.max_horizontal("scorer_version", "new")
    unexplained = ~(
        (pl.col("explained") & (pl.col("scorer_version") == version))
        | (pl.col("new_explained") & (pl.col("new") == version)).fill_null(value=False)
    )
    old = scored.filter((newest < version) | ((newest == version) & unexplained))
    by_object = {str(uri): frozenset(ids) for uri, ids in old.group_by("object").agg("episode_id").iter_rows()}
    return PendingRescore(
        episodes={key: by_object[store.uri(key)] for key in keys if store.uri(key) in by_object},
        next_part=1 + max((key.part for key in parts if key.version == version), default=-1),
        current=scored.height - old.height,
        unscored=attempts["episode_id"].n_unique() - scored.height,
    )


def _may_hold(key: str, family: str) -> bool:
    """Returns True for objects of this family and for sealed objects, which contain all families."""
    shard = ShardKey.parse(key)
    return shard is None or shard.family == family


def write_rescored(store: ObjectStore, key: RescoredKey, rows: Sequence[RescoredEpisode]) -> bool:
    """Stores one part.  Returns False when another process has written it."""
    return store.put_if_absent(str(key), to_parquet(to_table(rows, RESCORED_SCHEMA)))


def batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yields the rows in lists of *size*; the last one may be shorter."""
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch
