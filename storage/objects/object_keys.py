"""The keys of the objects in a store.

    runs/<run_id>.json
    traces/run=<run_id>/<slug>/<family>/shard-00042.a1.parquet
    rescored/run=<run_id>/family=<family>/v2-00000.parquet
    sealed/run=<run_id>/00000-<beginning of its SHA-256>.parquet
    claims/<run_id>.json

The keys contain what a resume needs first: the stored shards, and the number of attempts of each.

Many tools read ``name=value`` in a path as a column, which hides the file's own column of that name.  The keys of
shards therefore name the model and the family without ``=``.  Version 0.1 wrote ``model=<slug>/family=<family>``; such
keys are read, and never written.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import slug
from muses_eval.storage.objects.object_store import ObjectStore

RUNS = "runs/"
TRACES = "traces/"
RESCORED = "rescored/"
SEALED = "sealed/"
LOCKS = "claims/"

_SHARD = re.compile(
    r"traces/run=(?P<run>[\w.-]+)/(?P<old>model=)?(?P<model>[\w.-]+)/(?(old)family=)(?P<family>[\w.-]+)"
    r"/shard-(?P<number>\d{5,})\.a(?P<attempt>[1-9]\d*)\.parquet",
    re.ASCII,
)
_RESCORED = re.compile(
    r"rescored/run=(?P<run>[\w.-]+)/family=(?P<family>[\w.-]+)/v(?P<version>[1-9]\d*)-(?P<part>\d{5,})\.parquet",
    re.ASCII,
)
_SEALED = re.compile(
    r"sealed/run=(?P<run>[\w.-]+)/(?P<part>\d{5,})-(?P<digest>[0-9a-f]{16})\.parquet",
    re.ASCII,
)
_MANIFEST = re.compile(r"runs/(?P<run>[\w.-]+)\.json", re.ASCII)
_LOCK = re.compile(r"claims/(?P<run>[\w.-]+)\.json", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class ShardKey:
    """The key of one shard's object."""

    run_id: str
    model: str
    """Slug of the model's name."""
    family: str
    number: int
    attempt: int
    """1-based, counted across both forms of keys."""
    is_old: bool = False
    """True for an object of version 0.1, whose key has the form ``model=<slug>/family=<family>``."""

    def __str__(self) -> str:
        cell = f"model={self.model}/family={self.family}" if self.is_old else f"{self.model}/{self.family}"
        return f"{run_folder(self.run_id)}{cell}/shard-{self.number:05d}.a{self.attempt}.parquet"

    @classmethod
    def parse(cls, key: str) -> "ShardKey | None":
        """Parses a key, the inverse of ``str``; None for any other key."""
        match = _SHARD.fullmatch(key)
        if match is None:
            return None
        number, attempt, is_old = int(match["number"]), int(match["attempt"]), match["old"] is not None
        parsed = cls(match["run"], match["model"], match["family"], number, attempt, is_old)
        return parsed if str(parsed) == key else None


@dataclass(frozen=True, slots=True, order=True)
class RescoredKey:
    """The key of one object of recomputed scores."""

    run_id: str
    family: str
    version: int
    """Version of the scorer."""
    part: int
    """0-based."""

    def __str__(self) -> str:
        folder = f"{RESCORED}run={checked_run_id(self.run_id)}/family={self.family}"
        return f"{folder}/v{self.version}-{self.part:05d}.parquet"

    @classmethod
    def parse(cls, key: str) -> "RescoredKey | None":
        """Parses a key, the inverse of ``str``; None for any other key."""
        match = _RESCORED.fullmatch(key)
        if match is None:
            return None
        parsed = cls(match["run"], match["family"], int(match["version"]), int(match["part"]))
        return parsed if str(parsed) == key else None


@dataclass(frozen=True, slots=True, order=True)
class SealedKey:
    """The key of one object of a sealed run.  It contains a digest of the content, so compaction is idempotent."""

    run_id: str
    part: int
    """0-based."""
    digest: str
    """First 16 hex digits of the SHA-256 of the object."""

    def __str__(self) -> str:
        return f"{sealed_folder(self.run_id)}{self.part:05d}-{self.digest}.parquet"

    @classmethod
    def parse(cls, key: str) -> "SealedKey | None":
        """Parses a key, the inverse of ``str``; None for any other key."""
        match = _SEALED.fullmatch(key)
        if match is None:
            return None
        parsed = cls(match["run"], int(match["part"]), match["digest"])
        return parsed if str(parsed) == key else None


def run_folder(run_id: str) -> str:
    """Returns the prefix of the keys of a run's shards."""
    return f"{TRACES}run={checked_run_id(run_id)}/"


def sealed_folder(run_id: str) -> str:
    """Returns the prefix of the keys of a run's sealed objects."""
    return f"{SEALED}run={checked_run_id(run_id)}/"


def trace_keys(store: ObjectStore, run_id: str | None = None) -> Iterator[ShardKey]:
    """Yields the shards of one run, or of all runs, sorted by key.  Foreign objects are skipped."""
    for info in store.list(TRACES if run_id is None else run_folder(run_id)):
        key = ShardKey.parse(info.key)
        if key is not None:
            yield key


def rescored_keys(store: ObjectStore, run_id: str | None = None) -> Iterator[RescoredKey]:
    """Yields the rescored objects of one run, or of all runs, sorted by key.  Foreign objects are skipped."""
    for info in store.list(RESCORED if run_id is None else f"{RESCORED}run={checked_run_id(run_id)}/"):
        key = RescoredKey.parse(info.key)
        if key is not None:
            yield key


def run_prefixes(run_id: str) -> tuple[str, ...]:
    """Returns the keys, or prefixes of keys, of all objects of a run."""
    rescored = f"{RESCORED}run={checked_run_id(run_id)}/"
    return manifest_key(run_id), lock_key(run_id), run_folder(run_id), sealed_folder(run_id), rescored


def lock_key(run_id: str) -> str:
    """Returns the key of a run's lock object."""
    return f"{LOCKS}{checked_run_id(run_id)}.json"


def parse_lock_key(key: str) -> str | None:
    """Returns the run id in the key of a lock object; None for any other key."""
    match = _LOCK.fullmatch(key)
    return match["run"] if match and match["run"] == slug(match["run"]) else None


def manifest_key(run_id: str) -> str:
    """Returns the key of a run's manifest."""
    return f"{RUNS}{checked_run_id(run_id)}.json"


def parse_manifest_key(key: str) -> str | None:
    """Returns the run id in the key of a manifest; None for any other key."""
    match = _MANIFEST.fullmatch(key)
    return match["run"] if match and match["run"] == slug(match["run"]) else None


def checked_run_id(run_id: str) -> str:
    """Returns *run_id* if it is a valid path segment.

    Raises:
        ConfigError: it is not valid.
    """
    if run_id != slug(run_id):
        raise ConfigError(
            f"run id {run_id!r}: expected letters, digits, dots, dashes and underscores; write {slug(run_id)!r}"
        )
    return run_id
