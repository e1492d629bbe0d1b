"""Scores the stored transcripts of a run again with the current scorers, without a model call.

The transcripts and the old scores stay.  New scores are separate objects (:mod:`muses_eval.storage.runs.rescored`), and
queries return the newest.  Evidence comes with the scores; episodes of older versions without evidence are scored again
for it.  Rescoring may be interrupted and started again at any time.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from muses_eval.flows.job.prepare import load_dataset
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.masked_evidence import mask_evidence
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.errors import ConfigError, DatasetError, MusesError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import Family, evidence_of
from muses_eval.pipeline.providers import is_remote_api
from muses_eval.pipeline.text.credential_masking import MASK
from muses_eval.storage.objects.object_keys import RescoredKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import RunManifest, find_manifest, update_manifest, with_current_schema
from muses_eval.storage.runs.rescored import (
    PendingRescore,
    RescoredEpisode,
    batches,
    played_families,
    read_pending_rescore,
    write_rescored,
)
from muses_eval.storage.runs.run_lock import RunLock, hold_run_lock
from muses_eval.storage.runs.shards import read_episodes
from muses_eval.storage.schema.parquet_schema import SCHEMA_VERSION

PART_EPISODES = 5000
"""Maximum number of episodes per object: the most that an interruption loses, and that are in memory."""

OnProgress = Callable[[str, int, int], None]
"""Called with a family, the number of its rescored episodes, and the number to rescore."""


@dataclass(frozen=True, slots=True)
class RescoreOptions:
    """Options of rescoring."""

    families: Mapping[str, Family[Any]] = field(default_factory=lambda: FAMILIES)
    """Name of a family -> the family with its scorer."""
    part_size: int = PART_EPISODES
    on_progress: OnProgress = lambda _family, _done, _owed: None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyReport:
    """The result of rescoring one family of a run."""

    family: str
    scorer_version: int
    rescored: int
    """Number of episodes that this start rescored."""
    changed: int
    """Number of rescored episodes whose scores differ from those stored when they were played."""
    current: int
    """Number of episodes that already had scores of this scorer version, with evidence, or of a newer one."""
    unscored: int
    """Number of failed episodes, which have no scores."""


@dataclass(frozen=True, slots=True)
class RescoreReport:
    """The result of rescoring a run."""

    run_id: str
    store: str
    dataset_version: str
    families: tuple[FamilyReport, ...]


@dataclass(frozen=True, slots=True)
class _LockedRun:
    """A run whose lock this process holds."""

    store: ObjectStore
    manifest: RunManifest
    lock: RunLock


@dataclass(slots=True)
class _FamilyJob:
    """One family of a run: the input for scoring it, and the progress."""

    run: _LockedRun
    family: Family[Any]
    scenarios: Mapping[str, Scenario[Any]]
    options: RescoreOptions
    rescored: int = 0
    changed: int = 0

    @property
    def store(self) -> ObjectStore:
        return self.run.store

    @property
    def run_id(self) -> str:
        return self.run.manifest.run_id


def rescore(
    store_url: str, run_id: str, dataset: str | None = None, options: RescoreOptions = RescoreOptions()
) -> RescoreReport:
    """Scores every scored episode of a run again with the current scorers.

    *dataset* is the location of the scenarios of the run, as in a config; None: the location in the config of the run.

    Raises:
        MusesError: the run does not exist, its scenarios have changed, a scorer failed, or another process holds the
            lock of the run.
    """
    store = open_store(store_url)
    manifest = find_manifest(store, run_id)
    with hold_run_lock(store, run_id, "muses rescore") as lock:
        return _rescore(_LockedRun(store, manifest, lock), dataset, options)


def _rescore(run: _LockedRun, dataset: str | None, options: RescoreOptions) -> RescoreReport:
    store, run_id = run.store, run.manifest.run_id
    played = played_families(store, run_id)
    unknown = [name for name in played if name not in options.families]
    if unknown:
        raise MusesError(
            f"run {run_id!r} has episodes of {', '.join(unknown)}, for which this version has no scorer; it has: "
            f"{', '.join(options.families)}"
        )
    by_family = _dataset(run.manifest, dataset).by_family
    jobs = [_FamilyJob(run, options.families[name], by_family.get(name, {}), options) for name in played]
    return RescoreReport(run_id, store.url, run.manifest.dataset_version, tuple(map(_rescore_family, jobs)))


def _dataset(manifest: RunManifest, wanted: str | None) -> Dataset:
    """Loads exactly the scenarios on which the run was played."""
    # Only the planned families, because the version of a dataset depends on its families.
    families = [name for name in FAMILIES if any(name == family for _, family in manifest.planned)]
    raw = {**manifest.config, "families": families, **({} if wanted is None else {"dataset": wanted})}
    try:
        dataset = load_dataset(parse_config(raw, f"the config of run {manifest.run_id}"))
    except (DatasetError, ConfigError) as error:
        raise ConfigError(f"{error}\n{_advice(manifest)}") from error
    if dataset.version != manifest.dataset_version:
        raise ConfigError(
            f"run {manifest.run_id!r} was played on version {manifest.dataset_version} of the dataset "
            f"{manifest.dataset!r}, but {dataset.name!r} now has version {dataset.version}: scenarios have changed, "
            f"so new scores would be meaningless.\n{_advice(manifest)}"
        )
    return dataset


def _advice(manifest: RunManifest) -> str:
    code = f", or use the code that played it (commit {manifest.commit})" if manifest.commit else ""
    return f"Name the scenarios of version {manifest.dataset_version} with --dataset{code}."


def _rescore_family(job: _FamilyJob) -> FamilyReport:
    family = job.family
    first = pending = read_pending_rescore(job.store, job.run_id, family.name, family.scorer_version)
    if first.count and job.run.manifest.schema_version < SCHEMA_VERSION:
        update_manifest(job.store, job.run_id, with_current_schema)
    while not _write_parts(job, pending):
        pending = read_pending_rescore(job.store, job.run_id, family.name, family.scorer_version)
    return FamilyReport(
        family=family.name,
        scorer_version=family.scorer_version,
        rescored=job.rescored,
        changed=job.changed,
        current=first.current,
        unscored=first.unscored,
    )


def _write_parts(job: _FamilyJob, pending: PendingRescore) -> bool:
    """Returns False when another process has written a part, so that the pending episodes have to be read again."""
    name, options = job.family.name, job.options
    last = job.rescored + pending.count
    options.on_progress(name, job.rescored, last)
    for part, batch in enumerate(batches(_scored(job, pending), options.part_size), pending.next_part):
        key = RescoredKey(job.run_id, name, job.family.scorer_version, part)
        job.run.lock.check()
        if not write_rescored(job.store, key, [new for new, _ in batch]):
            return False
        job.rescored += len(batch)
        job.changed += sum(changed for _, changed in batch)
        options.on_progress(name, job.rescored, last)
    return True


def _scored(job: _FamilyJob, pending: PendingRescore) -> Iterator[tuple[RescoredEpisode, bool]]:
    """Yields the new scores of each episode, and whether they differ from those that were stored with it."""
    for key, ids in pending.episodes.items():
        for episode in read_episodes(job.store, key, ids):
            new = _score(job, episode)
            yield new, set(new.scores) != set(episode.scores)


def transcript_of(episode: Episode) -> Transcript:
    """Returns the transcript of a stored episode, as its scorer saw it."""
    from_api = episode.agent == CHAT.name and is_remote_api(episode.provider)
    return Transcript(episode.messages, from_api=from_api)


def _score(job: _FamilyJob, episode: Episode) -> RescoredEpisode:
    family, scenario, transcript = job.family, job.scenarios[episode.scenario_id], transcript_of(episode)
    try:
        scores = family.score(scenario, transcript)
        evidence = evidence_of(family, scenario, transcript)
    except Exception as error:
        raise MusesError(
            f"the scorer of {family.name} (version {family.scorer_version}) failed on episode {episode.episode_id} of "
            f"run {episode.run_id}: {type(error).__name__}: {error}\nA scorer must accept every transcript: "
            "correct it, and start again; finished parts are stored."
        ) from error
    texts = [message.content for message in episode.messages]
    if any(MASK in text for text in texts):
        evidence = mask_evidence(evidence, texts)
    return RescoredEpisode(episode.run_id, episode.episode_id, family.scorer_version, scores, evidence)
