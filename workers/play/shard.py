"""Plays one shard of episodes and writes it: the unit of work, of retry and of storage.

A spec fully determines its shard, so that any worker on any machine can play it.  All episodes of a shard are played
at the same time on one event loop; when the last is done, one Parquet object is written with one conditional write.
Cancelled in the middle, the shard writes what is finished and then gives way.  What is said is scored as it was said;
credentials in it are masked before it is written.  Under a budget each episode is reserved before it is played; one
that may not be played any more is written without scores.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.episode import Episode, Outcome
from muses_eval.pipeline.episode.model_call import Call, Role
from muses_eval.pipeline.episode.play_episode import EpisodeFailure, EpisodeResult, play_episode
from muses_eval.pipeline.episode.protocol import User
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.episode.usage import Usage, sum_or_none
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.plan.estimate import Expectations
from muses_eval.pipeline.plan.plan import EpisodePlan
from muses_eval.pipeline.prices import FREE, cost_of, prices_of
from muses_eval.pipeline.rng import SplitMix64
from muses_eval.pipeline.seeds import principal_seed, request_seed_offset
from muses_eval.pipeline.text.credential_masking import mask
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.shards import read_shard, write_shard
from muses_eval.workers.budget import (
    UNKNOWN,
    BudgetClient,
    BudgetSpec,
    Cost,
    Experience,
    Reservation,
    ReservationRequest,
    budget_cell,
)
from muses_eval.workers.play.simulated_user import SimulatedUser
from muses_eval.workers.providers.model import EpisodeRequest, Model
from muses_eval.workers.providers.scripted import ScriptedPrincipal

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
    budget: BudgetSpec | None = None
    """The budget that it draws on; None: there is no cap."""
    learned: Experience = UNKNOWN
    """What episodes of its cell used in earlier starts, for the budget."""
    cache: str | None = None
    """The store in which answers are kept; None: none are."""

    @property
    def cell(self) -> str:
        """Whose episodes can be expected to use as much as one another."""
        return budget_cell(self.run_id, self.model, self.family)

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


async def run_shard(
    spec: ShardSpec, players: Players, store: ObjectStore, budget: BudgetClient | None = None
) -> ShardSummary:
    """Plays and writes one shard; with a *budget*, only what it allows.

    Where another worker has stored the same shard meanwhile, the summary tells what is stored of these episodes.

    Raises:
        StoreError: the object cannot be written.
        MusesError: the budget cannot be asked; after writing what was finished.
        asyncio.CancelledError: likewise.
    """
    reservations = None if budget is None else _Reservations(budget, spec, Expectations(spec.users))
    tasks = [asyncio.create_task(_play_episode(spec, plan, players, reservations)) for plan in spec.episodes]
    try:
        episodes = list(await asyncio.gather(*tasks))
    except BaseException:  # cancelled, or the budget cannot be asked: what was paid for is kept
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
    return ShardSummary(
        key=str(key),
        outcomes=Counter(episode.outcome for episode in episodes),
        problems=Counter((e.error_kind, e.error or "") for e in episodes if e.error_kind is not None),
        cost_usd=sum_or_none(episode.cost_usd for episode in episodes),
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
    error = None if episode.error is None else mask(episode.error)
    sampling, users = mask(episode.sampling), mask(episode.users)  # extra_body may hold anything
    if not sum(count for _, count in (*texts, sampling, users, *([error] if error else ()))):
        return episode
    return replace(
        episode,
        messages=tuple(replace(m, content=text) for m, (text, _) in zip(episode.messages, texts, strict=True)),
        error=error and error[0],
        sampling=sampling[0],
        users=users[0],
        flags=(*episode.flags, CREDENTIAL_MASKED),
    )


async def _finished(tasks: list["asyncio.Task[Episode]"]) -> list[Episode]:
    """Stops the running episodes and returns the complete ones, also when it is cancelled again meanwhile."""
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks)
    return [task.result() for task in tasks if not task.cancelled() and task.exception() is None]


@dataclass(frozen=True, slots=True)
class _Reservations:
    """What a shard's episodes ask before they are played."""

    budget: BudgetClient
    spec: ShardSpec
    expectations: Expectations

    async def reserve(self, plan: EpisodePlan) -> Reservation | None:
        """Waits until the episode may be played; None: it may not."""
        spec, scenario = self.spec, self.spec.scenarios[plan.scenario_id]
        load = self.expectations.load(spec.model, scenario, plan.template)
        return await self.budget.reserve(
            ReservationRequest(spec.cell, Cost.of(load, spec.model, spec.users), spec.learned)
        )


async def _play_episode(
    spec: ShardSpec, plan: EpisodePlan, players: Players, reservations: _Reservations | None
) -> Episode:
    calls: list[Call] = []
    if reservations is None:
        return await _play_to_the_end(spec, plan, players, calls)
    reservation = await reservations.reserve(plan)
    if reservation is None:
        return _episode(spec, plan, _Course(datetime.now(UTC), 0.0, _UNPLAYED, "budget_stopped"))
    episode = None
    try:
        episode = await _play_to_the_end(spec, plan, players, calls)
    finally:  # what was paid for counts, even when all of this is cancelled
        finished = episode is not None and episode.outcome == "scored"
        kept = [replace(call, cached=False) for call in calls if call.cached]
        used, spared = Usage.of(_priced(calls, spec)), Usage.of(_priced(kept, spec))
        reservations.budget.settle(reservation, used, finished=finished, kept=spared)
    return episode


@dataclass(frozen=True, slots=True)
class _Course:
    """How an episode went."""

    started_at: datetime
    seconds: float
    played: EpisodeResult
    outcome: Outcome
    failure: EpisodeFailure | None = None
    scores: tuple[Score, ...] = ()


_UNPLAYED = EpisodeResult(Transcript(()), 0, 0, ())


async def _play_to_the_end(
    spec: ShardSpec,
    plan: EpisodePlan,
    players: Players,
    calls: list[Call],
    clock: Callable[[], float] = time.monotonic,
) -> Episode:
    """*calls*: where calls are noted as they come back."""
    started_at, start = datetime.now(UTC), clock()
    played = await _play(spec, plan, players, calls)
    failure, scores = _scored(FAMILIES[spec.family], spec.scenarios[plan.scenario_id], played)
    played = replace(played, calls=_priced(played.calls, spec))
    return _episode(spec, plan, _Course(started_at, clock() - start, played, _outcome(failure), failure, scores))


def _prices(spec: ShardSpec) -> Mapping[Role, Prices | None]:
    users = FREE if spec.users.model is None else prices_of(spec.users.model)
    return {"agent": prices_of(spec.model), "user": users}


def _priced(calls: Iterable[Call], spec: ShardSpec) -> tuple[Call, ...]:
    """The calls with what they cost, each role by the prices of its model."""
    prices = _prices(spec)
    return tuple(replace(call, cost_usd=cost_of(call, prices[call.role])) for call in calls)


def _cost(course: _Course, spec: ShardSpec) -> float | None:
    """Cost of the answered calls; None when one failed and its price is unknown."""
    failed = course.failure is not None and _prices(spec)[course.failure.role] is None
    return None if failed else Usage.of(course.played.calls).cost_usd


def _episode(spec: ShardSpec, plan: EpisodePlan, course: _Course) -> Episode:
    family, scenario, played = FAMILIES[spec.family], spec.scenarios[plan.scenario_id], course.played
    failure = course.failure
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
        outcome=course.outcome,
        error_kind=failure.cause.kind if failure else None,
        error=failure.cause.problem if failure else None,
        flags=_flags(played),
        scorer_version=family.scorer_version,
        turns=played.turns,
        started_at=course.started_at,
        seconds=course.seconds,
        prompt_tokens=sum_or_none(call.prompt_tokens for call in played.calls),
        completion_tokens=sum_or_none(call.completion_tokens for call in played.calls),
        cost_usd=_cost(course, spec),
        scores=course.scores,
        messages=played.transcript.messages,
        calls=played.calls,
    )


async def _play(spec: ShardSpec, plan: EpisodePlan, players: Players, calls: list[Call]) -> EpisodeResult:
    """Plays one episode.  A defect of ours costs this episode and is on record; it never costs a run."""
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    try:
        dialogue = Dialogue(scenario, plan.template, partial(family.interpret, scenario), family.max_turns)
        agent = players.agent.agent(EpisodeRequest(family, scenario, plan.agent_seed, plan.epoch, plan.id))
        users = {name: _user(spec, plan, players, name, calls.append) for name in scenario.names}
        return await play_episode(dialogue, agent, users, calls)
    except Exception as error:  # noqa: BLE001 - see above
        return EpisodeResult(Transcript(()), 0, 0, tuple(calls), _defect(error))


def _scored(
    family: Family[Any], scenario: Scenario[Any], played: EpisodeResult
) -> tuple[EpisodeFailure | None, tuple[Score, ...]]:
    """Why an episode has no scores, and its scores."""
    if played.failure:
        return played.failure, ()
    try:
        return None, family.score(scenario, played.transcript)
    except Exception as error:  # noqa: BLE001 - as above; what was said and paid for stays on record
        return _defect(error), ()


def _defect(error: Exception) -> EpisodeFailure:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return EpisodeFailure("agent", ModelFailure("internal", text[:_DEFECT_CHARS], retryable=False))


def _user(spec: ShardSpec, plan: EpisodePlan, players: Players, name: str, note: Callable[[Call], None]) -> User:
    """Returns the player of one principal; its random numbers are the same for every model under test."""
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    seed = principal_seed(plan.users_seed, name)
    if players.users is None:
        return ScriptedPrincipal(family.scripted_user(scenario, name, SplitMix64(seed)))
    request = EpisodeRequest(
        family, scenario, agent_seed=seed, seed_offset=request_seed_offset(seed), session=f"{plan.id} {name}"
    )
    return SimulatedUser(scenario.principal(name), players.users.agent(request), note)


def _outcome(failure: EpisodeFailure | None) -> Outcome:
    if failure is None:
        return "scored"
    return "infra_failed" if failure.role == "agent" else "simulator_failed"


def _flags(played: EpisodeResult) -> tuple[str, ...]:
    """What the agent itself caused, and a reader should know of."""
    reasons = {call.finish_reason for call in played.calls if call.role == "agent"}
    unparsed = ("unparsed",) if played.unreadable else ()
    return (*unparsed, *(reason for reason in FLAGGED_FINISH_REASONS if reason in reasons))
