"""The stored record of an episode, made from its plan, its shard and its result."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.episode.call_usage import CallUsage, sum_or_none
from muses_eval.pipeline.episode.episode import Episode, Outcome
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.model_call import Call, Role
from muses_eval.pipeline.episode.play_episode import EpisodeFailure, EpisodeResult
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import EpisodePlan
from muses_eval.pipeline.prices import FREE, cost_of, prices_of
from muses_eval.workers.play.shard_spec import ShardSpec

FLAGGED_FINISH_REASONS = ("length", "content_filter", "context_overflow")


@dataclass(frozen=True, slots=True)
class ScoredEpisode:
    """A played episode with its scores, or with the reason why it has none."""

    started_at: datetime
    seconds: float
    result: EpisodeResult
    """With the costs of its calls."""
    outcome: Outcome
    failure: EpisodeFailure | None = None
    scores: tuple[Score, ...] = ()
    evidence: tuple[Evidence, ...] = ()


def episode_record(spec: ShardSpec, plan: EpisodePlan, scored: ScoredEpisode) -> Episode:
    family, scenario, result = FAMILIES[spec.family], spec.scenarios[plan.scenario_id], scored.result
    failure = scored.failure
    return Episode(
        episode_id=plan.id,
        run_id=spec.run_id,
        model=spec.entry,
        base_model=spec.model.name,
        agent=spec.agent.name,
        facts=spec.agent.facts,
        provider=spec.model.provider,
        provider_model=spec.model.model,
        family=spec.family,
        scenario_id=scenario.id,
        dataset=spec.dataset,
        dataset_version=spec.dataset_version,
        protocol=spec.protocol.name,
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
        outcome=scored.outcome,
        error_kind=failure.cause.kind if failure else None,
        error=failure.cause.problem if failure else None,
        flags=_flags(result),
        scorer_version=family.scorer_version,
        turns=result.turns,
        started_at=scored.started_at,
        seconds=scored.seconds,
        prompt_tokens=sum_or_none(call.prompt_tokens for call in result.calls),
        completion_tokens=sum_or_none(call.completion_tokens for call in result.calls),
        cost_usd=_cost(scored, spec),
        scores=scored.scores,
        messages=result.transcript.messages,
        calls=result.calls,
        events=result.events,
        unusable=result.unusable,
        evidence=scored.evidence,
    )


def with_costs(calls: Iterable[Call], spec: ShardSpec) -> tuple[Call, ...]:
    """Returns the calls with their costs, each by the prices of the model that was called."""
    prices = _prices(spec)
    return tuple(replace(call, cost_usd=cost_of(call, prices[call.role])) for call in calls)


def _prices(spec: ShardSpec) -> Mapping[Role, Prices | None]:
    users = FREE if spec.users.model is None else prices_of(spec.users.model)
    return {"agent": prices_of(spec.model), "user": users}


def _cost(scored: ScoredEpisode, spec: ShardSpec) -> float | None:
    """Returns the cost of the answered calls; None when a call failed and its price is unknown."""
    failed = scored.failure is not None and _prices(spec)[scored.failure.role] is None
    return None if failed else CallUsage.of(scored.result.calls).cost_usd


def _flags(result: EpisodeResult) -> tuple[str, ...]:
    """Returns flags for what the agent itself caused and readers of the scores should know."""
    reasons = {call.finish_reason for call in result.calls if call.role == "agent"}
    unparsed = ("unparsed",) if result.unreadable else ()
    empty = ("empty",) if result.empty else ()
    return (*unparsed, *empty, *(reason for reason in FLAGGED_FINISH_REASONS if reason in reasons), *result.flags)
