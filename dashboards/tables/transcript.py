"""One episode as readable text: its messages, scores, model calls, and what happened inside its agent."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from muses_eval.dashboards.tables.text_table import one_line, printable
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.score import SCORINGS
from muses_eval.pipeline.episode.transcript import Message

_RULE_CHARS = 60


def render_transcript(episode: Episode, *, raw: bool = False) -> str:
    """Returns the transcript of an episode.

    *raw*: include the briefing, and the agent's replies as the model wrote them.
    """
    conversation = _conversation(episode, raw=raw)
    return "\n".join(
        (*_head(episode), "", *conversation, *_scores(episode), *_calls(episode), *_events(episode.events))
    )


def heading(title: str) -> str:
    """Returns the line above a part of a transcript."""
    return f"── {title} ".ljust(_RULE_CHARS, "─")


def _head(episode: Episode) -> Iterator[str]:
    variants = {"attack": episode.attack, "mode": episode.mode, "disclosure": episode.disclosure}
    variants |= {"difficulty": episode.difficulty, "template": episode.template, "users": str(episode.num_users)}
    yield f"episode {episode.episode_id}"
    scenario = f"scenario {one_line(episode.scenario_id)} · epoch {episode.epoch}"
    yield f"{one_line(episode.model)} on {episode.family} · {scenario}"
    if episode.agent != CHAT.name:
        yield f"model {one_line(episode.base_model)} · agent {one_line(episode.agent)} · facts {episode.facts}"
    yield " · ".join(f"{name} {value}" for name, value in variants.items() if value is not None)
    attempt = f"shard {episode.shard} attempt {episode.attempt}"
    yield f"run {episode.run_id} · protocol {episode.protocol} · {attempt} · {episode.seconds:.2f} s"
    flags = f" · flags: {', '.join(episode.flags)}" if episode.flags else ""
    yield f"outcome {episode.outcome}{flags}"
    if episode.error_kind is not None:
        yield f"error {episode.error_kind}: {one_line(episode.error or '')}"


def _conversation(episode: Episode, *, raw: bool) -> Iterator[str]:
    turn = 0
    for message in episode.messages:
        hidden = message.sender == SYSTEM or (message.sender == AGENT and not message.audience)
        if hidden and not (raw or _stands_alone(episode, message)):
            continue
        if message.turn != turn:
            turn = message.turn
            yield f"── turn {turn} " + "─" * 50
        yield f"{one_line(message.sender)} → {_audience(message, episode.num_users)}"
        yield from (f"    {line}" for line in printable(message.content).splitlines() or [""])


def _stands_alone(episode: Episode, reply: Message) -> bool:
    """Returns True when a raw reply reached no principal, so that leaving it out would hide the turn."""
    if reply.sender != AGENT:
        return False
    return not any(m.sender == AGENT and m.audience and m.turn == reply.turn for m in episode.messages)


def _audience(message: Message, num_users: int) -> str:
    if not message.audience:
        return "(as the model wrote it)"
    if 1 < num_users == len(set(message.audience)):
        return "everybody"
    return ", ".join(map(one_line, message.audience))


def _scores(episode: Episode) -> Iterator[str]:
    by_name: dict[str, dict[str, float]] = defaultdict(dict)
    for score in episode.scores:
        if score.round is None:
            by_name[score.metric][score.scoring] = score.value
    if by_name:
        yield "── scores " + "─" * 50
    for metric, values in by_name.items():
        shown = "  ".join(f"{scoring} {values[scoring]:.3f}" for scoring in SCORINGS if scoring in values)
        yield f"{metric:<18} {shown}"


def _calls(episode: Episode) -> Iterator[str]:
    if episode.calls:
        yield "── calls " + "─" * 51
    for call in episode.calls:
        tokens = f"{_count(call.prompt_tokens)} + {_count(call.completion_tokens)} tokens"
        retries = f", {call.retries} retries" if call.retries else ""
        model, reason = one_line(call.model), one_line(call.finish_reason)
        place = "" if call.turn is None or call.step is None else f"{call.turn}.{call.step:<3} "
        yield f"{place}{call.role:<6} {model}  {tokens}  {call.latency_s:.2f} s{retries}  {reason}"


def _events(events: Sequence[Event]) -> Iterator[str]:
    """Yields the events of an agent, each under its turn and step."""
    if events:
        yield "── events " + "─" * 50
    for event in events:
        yield f"{event.turn}.{event.step:<3} {event.kind}"
        yield from (f"    {line}" for line in printable(event.text).splitlines())


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
