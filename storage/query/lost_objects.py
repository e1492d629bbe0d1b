"""Objects of a store that contain episodes and cannot be read, described by their contents."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.objects.object_keys import RescoredKey, SealedKey, ShardKey, parse_manifest_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.query.store_snapshot import StoreSnapshot
from muses_eval.storage.runs.shards import DamagedObjectError, read_verified_columns

_READER_THREADS = 4
"""Number of objects checked at once: each sealed object is held in memory as a whole."""


@dataclass(frozen=True, slots=True)
class LostObject:
    """One object that cannot be read."""

    key: str
    problem: str
    episodes: int | None = None
    """Number of episodes in it; None when that is not recorded."""

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}; {self._contents()} is missing"

    def _contents(self) -> str:
        shard, sealed = ShardKey.parse(self.key), SealedKey.parse(self.key)
        if shard is not None:
            start = f", attempt {shard.attempt}" if shard.attempt > 1 else ""
            return f"shard {shard.number}{start} of run {shard.run_id}, model {shard.model}, family {shard.family}"
        if sealed is not None:
            count = "" if self.episodes is None else f", {count_text(self.episodes, 'episode')}"
            return f"part {sealed.part} of the sealed run {sealed.run_id}{count}"
        whole, part = parse_manifest_key(self.key), RescoredKey.parse(self.key)
        if whole is not None:
            return f"all of run {whole}"
        return "it" if part is None else f"a part of the later scores of run {part.run_id}, family {part.family}"


def find_lost_objects(store: ObjectStore, snapshot: StoreSnapshot) -> list[LostObject]:
    """Returns the damaged objects of a snapshot; reads all of its objects to the end.

    A shard that has been deleted is not damaged: its run was compacted.

    Raises:
        StoreError: the store cannot be read, or an object has a newer version; the message names it.
    """
    episodes = {entry.key: entry.episodes for manifest in snapshot.manifests for entry in manifest.sealed}
    return [LostObject(key, problem, episodes.get(key)) for key, problem in _problems(store, snapshot.keys)]


def _problems(store: ObjectStore, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    def problem(key: str) -> tuple[str, str] | None:
        try:
            read_verified_columns(store, key, ("episode_id",))
        except DamagedObjectError as error:
            return key, error.problem
        except MissingObjectError:
            return (key, "the manifest names it, but it does not exist") if SealedKey.parse(key) else None
        return None

    with ThreadPoolExecutor(_READER_THREADS) as threads:
        yield from (found for found in threads.map(problem, keys) if found is not None)
