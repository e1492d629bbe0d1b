"""Plays and scores one episode of a shard, within the budget.

Any exception while an episode is played or scored becomes a failure of that episode; it never ends a run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.episode.episode import Episode, Outcome
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import User
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.play_episode import EpisodeFailure, EpisodeResult, play_episode
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import evidence_of
from muses_eval.pipeline.plan.plan import EpisodePlan
from muses_eval.pipeline.plan.usage_estimator import UsageEstimator
from muses_eval.pipeline.providers import is_remote_api
from muses_eval.pipeline.rng import SplitMix64
from muses_eval.pipeline.seeds import principal_seed, request_seed_offset
from muses_eval.workers.agents.agent_host import AgentEpisode, OpenEpisodeAgent
from muses_eval.workers.budget import BudgetClient, Cost, Reservation, ReservationRequest
from muses_eval.workers.play.episode_record import ScoredEpisode, episode_record, with_costs
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.simulated_user import SimulatedUser
from muses_eval.workers.providers.model import EpisodeRequest, Model
from muses_eval.workers.providers.scripted import ScriptedPrincipal

_ERROR_CHARS = 300
_UNPLAYED = EpisodeResult(Transcript(()), 0, 0, ())


@dataclass(frozen=True, slots=True)
class ShardModels:
    """The opened models of a shard."""

    agent: Model
    users: Model | None
    """Model that plays the users; None when the users are rule-based."""
    open_agent: OpenEpisodeAgent | None = None
    """Opens the agent of an episode; None when the model plays alone."""


@dataclass(frozen=True, slots=True)
class EpisodeBudget:
    """Reserves the expected cost of a shard's episodes, and settles it when they are played."""

    client: BudgetClient
    spec: ShardSpec
    estimator: UsageEstimator

    async def reserve(self, plan: EpisodePlan) -> Reservation | None:
        """Waits until the episode may be played; returns None when the budget is used up."""
        spec, scenario = self.spec, self.spec.scenarios[plan.scenario_id]
        expected = self.estimator.estimate(spec.model, scenario, plan.template)
        return await self.client.reserve(
            ReservationRequest(spec.cell, Cost.of(expected, spec.model, spec.users), spec.learned)
        )

    def settle(self, reservation: Reservation, calls: list[Call], *, finished: bool) -> None:
        """Counts the cost of *calls*, and what the cached ones would have cost."""
        cached = [replace(call, cached=False) for call in calls if call.cached]
        used, saved = CallUsage.of(with_costs(calls, self.spec)), CallUsage.of(with_costs(cached, self.spec))
        self.client.settle(reservation, used, finished=finished, kept=saved)


async def play_shard_episode(
    spec: ShardSpec, plan: EpisodePlan, models: ShardModels, budget: EpisodeBudget | None
) -> Episode:
    """Returns the record of one episode; one that the budget does not allow is returned unplayed."""
    calls: list[Call] = []
    if budget is None:
        return await _play_and_score(spec, plan, models, calls)
    reservation = await budget.reserve(plan)
    if reservation is None:
        return episode_record(spec, plan, ScoredEpisode(datetime.now(UTC), 0.0, _UNPLAYED, "budget_stopped"))
    episode = None
    try:
        episode = await _play_and_score(spec, plan, models, calls)
    finally:  # calls that were made are paid for, even when the episode is cancelled
        budget.settle(reservation, calls, finished=episode is not None and episode.outcome == "scored")
    return episode


async def _play_and_score(
    spec: ShardSpec,
    plan: EpisodePlan,
    models: ShardModels,
    calls: list[Call],
    clock: Callable[[], float] = time.monotonic,
) -> Episode:
    """Plays and scores one episode.  *calls* receives each call when it is answered."""
    started_at, start = datetime.now(UTC), clock()
    result = await _play(spec, plan, models, calls)
    failure, scores, evidence = _score(spec, plan, result)
    result = replace(result, calls=with_costs(result.calls, spec))
    return episode_record(
        spec, plan, ScoredEpisode(started_at, clock() - start, result, _outcome(failure), failure, scores, evidence)
    )


async def _play(spec: ShardSpec, plan: EpisodePlan, models: ShardModels, calls: list[Call]) -> EpisodeResult:
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    try:
        dialogue = spec.protocol.dialogue(family, scenario, plan.template, from_api=_from_api(spec))
        model = models.agent.agent(EpisodeRequest(family, scenario, plan.agent_seed, plan.epoch, plan.id))
        users = {name: _user(spec, plan, models, name, calls.append) for name in scenario.names}
        if models.open_agent is None:
            return await play_episode(dialogue, model, users, calls)
        episode = AgentEpisode(
            id=plan.id,
            agent=spec.agent,
            model=spec.model,
            family=family,
            scenario=scenario,
            start=dialogue.observation,
        )
        opened = await models.open_agent(episode, model, calls.append)
        try:
            result = await play_episode(dialogue, opened.session, users, calls)
        finally:
            await opened.close()
        return replace(result, events=opened.session.events, flags=opened.session.flags)
    except Exception as error:  # noqa: BLE001 - an error in this project's code fails the episode, not the run
        return EpisodeResult(Transcript(()), 0, 0, tuple(calls), _internal_failure(error))


def _score(
    spec: ShardSpec, plan: EpisodePlan, result: EpisodeResult
) -> tuple[EpisodeFailure | None, tuple[Score, ...], tuple[Evidence, ...]]:
    """Returns the reason why an episode has no scores, its scores, and their evidence."""
    if result.failure:
        return result.failure, (), ()
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    try:
        transcript = replace(result.transcript, from_api=_from_api(spec))
        return None, family.score(scenario, transcript), evidence_of(family, scenario, transcript)
    except Exception as error:  # noqa: BLE001 - as above; the transcript and its costs are still stored
        return _internal_failure(error), (), ()


def _from_api(spec: ShardSpec) -> bool:
    """Returns whether replies come from an API as they are, which the protocol ``released`` treats differently."""
    return spec.agent.is_chat and is_remote_api(spec.model.provider)


def _internal_failure(error: Exception) -> EpisodeFailure:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return EpisodeFailure("agent", ModelFailure("internal", text[:_ERROR_CHARS], retryable=False))


def _user(spec: ShardSpec, plan: EpisodePlan, models: ShardModels, name: str, note: Callable[[Call], None]) -> User:
    """Returns the user that plays one principal; its random numbers are the same for every model under test."""
    family, scenario = FAMILIES[spec.family], spec.scenarios[plan.scenario_id]
    seed = principal_seed(plan.users_seed, name)
    if models.users is None:
        return ScriptedPrincipal(family.scripted_user(scenario, name, SplitMix64(seed)))
    request = EpisodeRequest(
        family, scenario, agent_seed=seed, seed_offset=request_seed_offset(seed), session=f"{plan.id} {name}"
    )
    return SimulatedUser(spec.protocol, scenario.principal(name), models.users.agent(request), note)


def _outcome(failure: EpisodeFailure | None) -> Outcome:
    if failure is None:
        return "scored"
    return "infra_failed" if failure.role == "agent" else "simulator_failed"
