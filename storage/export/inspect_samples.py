"""Samples of Inspect's logs: an episode as an ``EvalSample``, with all of its texts in the messages.

* The briefing is the system message.  A message of a principal is a user message that begins with the principal's name.
* A reply of the agent is an assistant message, as the model wrote it.  The parts that principals saw are in the
  message's metadata, under ``deliveries``, each with its audience.
* The metadata of every message contain its turn, sender and audience.

Each reply is also a model event with the messages before it, because Inspect's dataframes read messages from events.
Calls are stored with their duration but without their time, so all events have the start time of the episode.  Scores
are named by scoring and metric, as ``corrected_privacy``; scores of single rounds are in the score's metadata.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.storage.schema.parquet_schema import SCHEMA

if TYPE_CHECKING:
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessage, ModelUsage
    from inspect_ai.scorer import Score

_Number = TypeVar("_Number", int, float)

_STOP_REASONS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
_KEPT_APART = {
    "messages",
    "calls",
    "events",
    "scores",
    "started_at",
    "seconds",
    "error",
    "error_kind",
    "sampling",
    "flags",
    "unusable",
    "evidence",
}
"""Fields of an episode that are not copied to the metadata as they are."""


def sample_of(episode: Episode, *, several_templates: bool) -> "EvalSample":
    """Returns the sample of an episode; its id contains the template when the run has several."""
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ModelOutput

    messages = list(_messages(episode))
    events = list(_events(episode, messages))
    opening = next((i for i, message in enumerate(messages) if _is_reply(message)), len(messages))
    failure = None if episode.outcome == "scored" else f"{episode.outcome}: {episode.error_kind}: {episode.error}"
    return EvalSample(
        id=f"{episode.scenario_id}:{episode.template}" if several_templates else episode.scenario_id,
        epoch=episode.epoch + 1,
        input=messages[:opening],
        target="",
        messages=messages,
        output=events[-1].output if events else ModelOutput(),
        events=list(events),
        scores=_scores(episode) or None,
        metadata=_metadata(episode),
        model_usage=model_usage(episode.calls, by="model"),
        role_usage=model_usage(episode.calls, by="role"),
        started_at=timestamp(episode.started_at),
        completed_at=timestamp(end_of(episode)),
        total_time=episode.seconds,
        uuid=episode.episode_id,
        error=None if failure is None else EvalError(message=failure, traceback="", traceback_ansi=""),
        turn_count=episode.turns,
    )


def _metadata(episode: Episode) -> dict[str, Any]:
    """Returns the fields of an episode for which a sample has no field of its own; None values are omitted."""
    names = (name for name in SCHEMA.names if name not in _KEPT_APART)
    known = {name: value for name in names if (value := getattr(episode, name)) is not None}
    nested: dict[str, Any] = {name: [asdict(item) for item in getattr(episode, name)] for name in ("calls", "events")}
    if episode.evidence is not None:
        nested["evidence"] = [asdict(item) for item in episode.evidence]
    if episode.unusable is not None:
        nested["unusable"] = asdict(episode.unusable)
    return {**known, "flags": list(episode.flags), **nested}


def _messages(episode: Episode) -> Iterator["ChatMessage"]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    for number, (message, deliveries) in enumerate(_with_deliveries(episode.messages)):
        name = f"{episode.episode_id}-{number}"
        about: dict[str, Any] = {"turn": message.turn, "sender": message.sender, "audience": list(message.audience)}
        if deliveries:
            about["deliveries"] = [{"audience": list(d.audience), "content": d.content} for d in deliveries]
        if message.sender == SYSTEM:
            yield ChatMessageSystem(id=name, content=message.content, metadata=about)
        elif message.sender == AGENT:
            if message.audience:  # a greeting, which no model has written
                yield ChatMessageAssistant(id=name, content=message.content, source="input", metadata=about)
            else:
                yield ChatMessageAssistant(
                    id=name, content=message.content, source="generate", model=episode.provider_model, metadata=about
                )
        else:
            yield ChatMessageUser(id=name, content=f"{message.sender}: {message.content}", metadata=about)


def _is_reply(message: "ChatMessage") -> bool:
    """Returns whether a model has written the message; an agent's greeting is part of the protocol."""
    return message.source == "generate"


def _with_deliveries(messages: Iterable[Message]) -> list[tuple[Message, list[Message]]]:
    """Returns each message with its deliveries, which follow the agent's raw reply in a transcript."""
    found: list[tuple[Message, list[Message]]] = []
    for message in messages:
        if message.sender == AGENT and message.audience and found and found[-1][0].sender == AGENT:
            found[-1][1].append(message)
        else:
            found.append((message, []))
    return found


def _events(episode: Episode, messages: "Sequence[ChatMessage]") -> "Iterator[ModelEvent]":
    """Yields an event for every call of the agent, the failed one of an ``infra_failed`` episode included."""
    from inspect_ai.event import ModelEvent
    from inspect_ai.model import ChatCompletionChoice, GenerateConfig, ModelOutput

    calls: Sequence[Call | None] = [call for call in episode.calls if call.role == "agent"]
    replies = [number for number, message in enumerate(messages) if _is_reply(message)]
    # Scripted models make no calls, and a harness makes any number of them for one reply.
    if episode.agent != CHAT.name or len(calls) != len(replies):
        calls = [None] * len(replies)
    answers = []
    for number, call in zip(replies, calls, strict=True):
        stop: Any = "stop" if call is None else _STOP_REASONS.get(call.finish_reason, "unknown")
        choices = [ChatCompletionChoice(message=messages[number], stop_reason=stop)]
        usage = None if call is None else model_usage([call], by="role").get("agent")
        answers.append((number, call, ModelOutput(model=episode.provider_model, choices=choices, usage=usage)))
    if episode.outcome == "infra_failed":
        answers.append((len(messages), None, ModelOutput(model=episode.provider_model, error=episode.error)))
    for number, call, output in answers:
        yield ModelEvent(
            uuid=f"{episode.episode_id}-event-{number}",
            timestamp=episode.started_at,
            working_start=0.0,
            model=episode.provider_model,
            role="agent",
            input=list(messages[:number]),
            tools=[],
            tool_choice="none",
            config=GenerateConfig(),
            output=output,
            error=output.error,
            retries=None if call is None else call.retries,
            working_time=None if call is None else call.latency_s,
            cache="read" if call is not None and call.cached else None,
        )


def _scores(episode: Episode) -> "dict[str, Score]":
    from inspect_ai.scorer import Score

    whole: dict[str, float] = {}
    rounds: dict[str, dict[str, float]] = defaultdict(dict)
    for score in episode.scores:
        name = f"{score.scoring}_{score.metric}"
        if score.round is None:
            whole[name] = score.value
        else:
            rounds[name][str(score.round)] = score.value
    return {
        name: Score(value=value, metadata={"rounds": rounds[name]} if name in rounds else None)
        for name, value in whole.items()
    }


def model_usage(calls: Iterable[Call], *, by: Literal["model", "role"]) -> "dict[str, ModelUsage]":
    """Returns usage summed by model or by role; groups with an unknown token count are omitted."""
    from inspect_ai.model import ModelUsage

    groups: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        groups[getattr(call, by)].append(call)
    sums = {}
    for name, group in groups.items():
        prompt, completion = _total(c.prompt_tokens for c in group), _total(c.completion_tokens for c in group)
        if prompt is None or completion is None:
            continue
        cached = sum(call.cached_tokens or 0 for call in group)
        sums[name] = ModelUsage(
            input_tokens=prompt - cached,
            output_tokens=completion,
            total_tokens=prompt + completion,
            input_tokens_cache_read=cached or None,
            total_cost=_total(call.cost_usd for call in group),
        )
    return sums


def _total(values: Iterable[_Number | None]) -> _Number | None:
    total: Any = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total  # type: ignore[no-any-return]


def end_of(episode: Episode) -> datetime:
    """Returns the time at which an episode ended."""
    return episode.started_at + timedelta(seconds=episode.seconds)


def timestamp(moment: datetime) -> str:
    """Returns a time in ISO 8601, as Inspect stores it."""
    return moment.isoformat()
