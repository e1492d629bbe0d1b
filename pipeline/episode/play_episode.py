"""Plays one episode: asks the agent and the users in turn until the dialogue is over.

This is the only code of an episode that awaits anything, and it awaits two things: the agent's reply and the users'
replies.  Therefore the same episode runs inline, in a cluster worker, or against recorded replies.
"""

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.event import CALL_CHARS, Event, shortened
from muses_eval.pipeline.episode.interfaces import Agent, User
from muses_eval.pipeline.episode.model_call import Call, Reply, Role
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.episode.unusable_replies import ReplyState, UnusableReplies, is_wordless
from muses_eval.pipeline.errors import ModelFailure


@dataclass(frozen=True, slots=True)
class EpisodeFailure:
    """The failed model call that ended an episode, and the role of the model."""

    role: Role
    cause: ModelFailure


@dataclass(frozen=True, slots=True)
class EpisodeResult:
    """The result of one episode.  With a ``failure``, the transcript ends before the failed call."""

    transcript: Transcript
    turns: int
    """Number of the agent's replies."""
    unreadable: int
    """Number of the agent's replies that were not in the requested format."""
    calls: tuple[Call, ...]
    failure: EpisodeFailure | None = None
    empty: int = 0
    """Number of the agent's replies without words."""
    unusable: UnusableReplies = UnusableReplies()
    events: tuple[Event, ...] = ()
    """Events inside the agent; for the model alone, its reasoning and its calls of tools."""
    flags: tuple[str, ...] = ()
    """Flags for what the code of the agent did; empty for the model alone."""


async def play_episode(
    dialogue: Dialogue, agent: Agent, users: Mapping[str, User], calls: list[Call] | None = None
) -> EpisodeResult:
    """Plays one episode to its end.  A failed model call ends it and becomes its ``failure``.

    Args:
        dialogue: the episode in its initial state.
        agent: the model under test.
        users: the player of each principal, by name.
        calls: list to which each call is appended as soon as it returns, so that the caller has the calls even when
            this function raises an exception.
    """
    calls = [] if calls is None else calls

    async def ask(coming: Coroutine[Any, Any, Reply], turn: int) -> Reply:
        reply = await coming
        if reply.call is not None:
            calls.append(replace(reply.call, turn=turn, step=1))
        return reply

    async def ask_users() -> None:
        views = dialogue.next_views
        replies = await gather_all(ask(users[view.name].reply(view), view.turn) for view in views)
        dialogue.add_inputs(tuple(Input(view.name, reply.text) for view, reply in zip(views, replies, strict=True)))

    states: list[ReplyState] = []
    events: list[Event] = []
    role: Role = "user"
    failure = None
    try:
        if dialogue.greeted:
            await ask_users()
        while not dialogue.finished:
            role = "agent"
            turn = dialogue.turn
            reply = await ask(agent.reply(dialogue.observation), turn)
            readable = dialogue.add_reply(reply.text)
            states.append(ReplyState(reply.text, readable, _finish_reason(reply, turn, calls)))
            events += _events(reply, turn)
            role = "user"
            await ask_users()
    except ModelFailure as cause:
        failure = EpisodeFailure(role, cause)
    return EpisodeResult(
        transcript=dialogue.transcript,
        turns=len(states),
        unreadable=dialogue.unreadable,
        calls=tuple(calls),
        failure=failure,
        empty=sum(state.is_empty for state in states),
        unusable=UnusableReplies.of(state.kind for state in states),
        events=tuple(events),
    )


def _finish_reason(reply: Reply, turn: int, calls: Sequence[Call]) -> str | None:
    """Returns the finish reason of the call that gave a reply; for a harness, that of its last call in the turn.

    A harness that says nothing has failed, or chose to: no call gave that reply.
    """
    if reply.call is not None:
        return reply.call.finish_reason
    if is_wordless(reply.text):
        return None
    return next((call.finish_reason for call in reversed(calls) if (call.role, call.turn) == ("agent", turn)), None)


def _events(reply: Reply, turn: int) -> Iterator[Event]:
    """Yields what a model gave besides its text.  A harness keeps the events of its calls itself."""
    if reply.reasoning:
        yield Event(turn, 1, "reasoning", shortened(reply.reasoning, CALL_CHARS))
    if reply.tool_calls:
        yield Event(turn, 1, "call", shortened(reply.with_tool_calls, CALL_CHARS))
