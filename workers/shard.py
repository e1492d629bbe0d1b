"""Plays one shard of episodes and writes it: the unit of work, of retry and of storage.

A spec fully determines its shard, so that any worker on any machine can play it.  All episodes of a shard are played
at the same time on one event loop; when the last is done, one Parquet object is written with one conditional write.
Cancelled in the middle, the shard writes what is finished and then gives way.  What is said is scored as it was said;
credentials in it are masked before it is written.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pipeline.credentials import mask
from pipeline.episode import Episode, Outcome
from pipeline.errors import FailureKind, ModelFailure
from pipeline.families import FAMILIES
from pipeline.families.base import Family
from pipeline.hashing import seed_from
from pipeline.plan import EpisodePlan
from pipeline.protocol import Call, Dialogue, Failure, Playthrough, User, play
from pipeline.scenario import Scenario
from pipeline.scores import Score
from pipeline.specs import ModelSpec, UsersSpec
from pipeline.transcript import Transcript
from storage.layout import ShardKey
from storage.objects import ObjectStore
from storage.shards import read_shard, write_shard
from workers.models import EpisodeRequest, Model
from workers.prompted import PromptedPrincipal
from workers.scripted import ScriptedPrincipal

_MAX_SEED_OFFSET = 2**30
"""Providers take seeds of 31 or 32 bits."""
FLAGGED_FINISH_REASONS = ("length", "content_filter", "context_overflow")
CREDENTIAL_MASKED = "credential_masked"
_DEFECT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSpec:
    """Everything a worker needs to know of one shard."""

    run_id: str
    store: str
    dataset: str
    dataset_version: str
    users: UsersSpec
    model: ModelSpec
    family: str
    number: int
    attempt: int
    """1-based."""
    episodes: tuple[EpisodePlan, ...]
    scenarios: Mapping[str, Scenario[Any]]
    """By id; those that the episodes name."""

    @property
    def key(self) -> ShardKey:
        return ShardKey(self.run_id, self.model.slug, self.family, self.number, self.attempt)


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """What the driver learns of a shard: never the traces themselves."""

    key: str
    outcomes: Mapping[Outcome, int]
    problems: Mapping[tuple[FailureKind, str], int]
    """How often each failure was seen, by its kind and text."""
    cost_usd: float | None
    """None when the cost of an episode is not known."""


@dataclass(frozen=True, slots=True)
class Players:
    """The models of a shard, opened."""

    agent: Model
    users: Model | None
    """None: the principals are rule-based."""


async def run_shard(spec: ShardSpec, players: Players, store: ObjectStore) -> ShardSummary:
    """Plays and writes one shard.

    Where another worker has stored the same shard meanwhile, the summary tells what is stored of these episodes.

    Raises:
        StoreError: the object cannot be written.
        asyncio.CancelledError: after writing what was finished.
    """
    tasks = [asyncio.create_task(_play_episode(spec, plan, players)) for plan in spec.episodes]
    try:
        episodes = list(await asyncio.gather(*tasks))
    except asyncio.CancelledError:
        finished = await _finished(tasks)
        if finished:
            _store(store, spec.key, finished)
        raise
    writing = asyncio.create_task(asyncio.to_thread(_store, store, spec.key, episodes))
    try:
        stored = await asyncio.shield(writing)
    except asyncio.CancelledError:
        while not writing.done():  # its thread goes on whatever is cancelled here, and however often
            with suppress(asyncio.CancelledError):
                await asyncio.wait([writing])
        writing.result()
        raise
    return summarize(spec.key, stored)


def summarize(key: ShardKey, episodes: list[Episode]) -> ShardSummary:
    """A shard's episodes in a few numbers."""
    costs = [episode.cost_usd for episode in episodes]
    return ShardSummary(
        key=str(key),
        outcomes=Counter(episode.outcome for episode in episodes),
        problems=Counter((e.error_kind, e.error or "") for e in episodes if e.error_kind is not None),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _store(store: ObjectStore, key: ShardKey, played: list[Episode]) -> list[Episode]:
    """Writes episodes and returns what is stored of them: each once, scored if it was ever scored.

    Somebody may have stored this attempt before, for instance a second run of the same job.  What is stored stays;
    episodes that it lacks, or has without scores where these have some, are written under the next free attempt.
    """
    ours = {episode.episode_id: _masked(episode) for episode in played}
    told = dict(ours)
    while not write_shard(store, key, list(ours.values())):
        for episode in read_shard(store, key):
            mine = ours.get(episode.episode_id)
            if mine and (episode.outcome == "scored" or mine.outcome != "scored"):
                told[episode.episode_id] = episode
                del ours[episode.episode_id]
        if not ours:
            break
        key = replace(key, attempt=key.attempt + 1)
        ours = {name: replace(episode, attempt=key.attempt) for name, episode in ours.items()}
        told |= ours
    return list(told.values())


def _masked(episode: Episode) -> Episode:
    """The episode without credentials; flagged when there were any."""
    texts = [mask(message.content) for message in episode.messages]
    error, in_error = (None, 0) if episode.error is None else mask(episode.error)
    if not in_error + sum(count for _, count in texts):
        return episode
    messages = (replace(m, content=text) for m, (text, _) in zip(episode.messages, texts, strict=True))
    return replace(episode, messages=tuple(messages), error=error, flags=(*episode.flags, CREDENTIAL_MASKED))


async def _finished(tasks: list["asyncio.Task[Episode]"]) -> list[Episode]:
    """Stops what still runs and returns the episodes that were complete."""
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [result for result in results if isinstance(result, Episode)]


async def _play_episode(
    spec: ShardSpec, plan: EpisodePlan, players: Players, clock: Callable[[], float] = time.monotonic
) -> Episode:
    started_at, start = datetime.now(UTC), clock()
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    played = await _play(spec, plan, players)
    failure, scores = _scored(family, scenario, played)
    usage = _Usage.of(played, free=spec.model.provider == "scripted")
    return Episode(
        episode_id=plan.id,
        run_id=spec.run_id,
        model=spec.model.name,
        provider=spec.model.provider,
        provider_model=spec.model.model,
        family=spec.family,
        scenario_id=scenario.id,
        dataset=spec.dataset,
        dataset_version=spec.dataset_version,
        template=plan.template,
        mode=scenario.mode,
        attack=scenario.attack,
        disclosure=scenario.disclosure,
        difficulty=scenario.difficulty,
        num_users=len(scenario.principals),
        users=spec.users.name,
        sampling=json.dumps(asdict(spec.model.sampling)),
        epoch=plan.epoch,
        shard=spec.number,
        attempt=spec.attempt,
        outcome=_outcome(failure),
        error_kind=failure.cause.kind if failure else None,
        error=failure.cause.problem if failure else None,
        flags=_flags(played),
        scorer_version=family.scorer_version,
        turns=played.turns,
        started_at=started_at,
        seconds=clock() - start,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost_usd=usage.cost_usd,
        scores=scores,
        messages=played.transcript.messages,
        calls=played.calls,
    )


async def _play(spec: ShardSpec, plan: EpisodePlan, players: Players) -> Playthrough:
    """Plays one episode.  A defect of ours costs this episode and is on record; it never costs a run."""
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    calls: list[Call] = []
    try:
        dialogue = Dialogue(scenario, plan.template, partial(family.interpret, scenario), family.max_turns)
        agent = players.agent.agent(EpisodeRequest(family, scenario, plan.agent_seed, plan.epoch))
        users = {name: _user(spec, plan, players, name, calls.append) for name in scenario.names}
        return await play(dialogue, agent, users, calls)
    except Exception as error:  # noqa: BLE001 - see above
        return Playthrough(Transcript(()), 0, 0, tuple(calls), _defect(error))


def _scored(
    family: Family[Any], scenario: Scenario[Any], played: Playthrough
) -> tuple[Failure | None, tuple[Score, ...]]:
    """Why an episode has no scores, and its scores."""
    if played.failure:
        return played.failure, ()
    try:
        return None, family.score(scenario, played.transcript)
    except Exception as error:  # noqa: BLE001 - as above; what was said and paid for stays on record
        return _defect(error), ()


def _defect(error: Exception) -> Failure:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return Failure("agent", ModelFailure("internal", text[:_DEFECT_CHARS], retryable=False))


def _user(spec: ShardSpec, plan: EpisodePlan, players: Players, name: str, note: Callable[[Call], None]) -> User:
    """Who plays one principal; its dice are the same for every model under test (common random numbers)."""
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    seed = seed_from(plan.users_seed, name)
    if players.users is None:
        return ScriptedPrincipal(family.user(scenario, name, random.Random(seed)))
    request = EpisodeRequest(family, scenario, agent_seed=seed, seed_offset=seed % _MAX_SEED_OFFSET)
    return PromptedPrincipal(scenario.principal(name), players.users.agent(request), note)


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return "scored"
    return "infra_failed" if failure.role == "agent" else "simulator_failed"


def _flags(played: Playthrough) -> tuple[str, ...]:
    """What the agent itself caused, and a reader should know of."""
    reasons = {call.finish_reason for call in played.calls if call.role == "agent"}
    unparsed = ("unparsed",) if played.unreadable else ()
    return (*unparsed, *(reason for reason in FLAGGED_FINISH_REASONS if reason in reasons))


@dataclass(frozen=True, slots=True)
class _Usage:
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None

    @classmethod
    def of(cls, played: Playthrough, *, free: bool) -> "_Usage":
        """The sums over all calls; None as soon as one call did not report its part, or has no known price."""
        return cls(
            _total([call.prompt_tokens for call in played.calls]),
            _total([call.completion_tokens for call in played.calls]),
            0.0 if free and not played.calls else None,
        )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
