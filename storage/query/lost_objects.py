"""What a store has lost: objects that hold rows and cannot be read, named by what was in them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey, parse_manifest_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.query.store_snapshot import Sources
from muses_eval.storage.runs.shards import DamagedObjectError, read_columns_whole

_READERS = 4
"""A sealed object is in memory as a whole while it is checked."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One object that cannot be read."""

    key: str
    problem: str
    episodes: int | None = None
    """Number of episodes in it; None when that is not recorded."""

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}; {self._what()} is missing"

    def _what(self) -> str:
        shard, sealed = ShardKey.parse(self.key), SealedKey.parse(self.key)
        if shard is not None:
            start = f", attempt {shard.attempt}" if shard.attempt > 1 else ""
            return f"shard {shard.number}{start} of run {shard.run_id}, model {shard.model}, family {shard.family}"
        if sealed is not None:
            count = "" if self.episodes is None else f", {self.episodes} episodes"
            return f"part {sealed.part} of the sealed run {sealed.run_id}{count}"
        whole, part = parse_manifest_key(self.key), RescoredKey.parse(self.key)
        if whole is not None:
            return f"all of run {whole}"
        return "it" if part is None else f"a part of the later scores of run {part.run_id}, family {part.family}"


def find_lost(store: ObjectStore, sources: Sources) -> list[Lost]:
    """The damaged ones of these objects, all read to the last byte; a shard that has been deleted is not damaged.

    Raises:
        StoreError: the store cannot be read, or an object is of a newer version; the message names it.
    """
    held = {entry.key: entry.episodes for manifest in sources.manifests for entry in manifest.sealed}
    return [Lost(key, problem, held.get(key)) for key, problem in _problems(store, sources.keys)]


def _problems(store: ObjectStore, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    def problem(key: str) -> tuple[str, str] | None:
        try:
            read_columns_whole(store, key, ("episode_id",))
        except DamagedObjectError as error:
            return key, error.problem
        except MissingObjectError:
            return (key, "the manifest names it, and it is not there") if SealedKey.parse(key) else None
        return None

    with ThreadPoolExecutor(_READERS) as threads:
        yield from (found for found in threads.map(problem, keys) if found is not None)
