"""Plays one episode: asks the agent and the users in turn until the dialogue is over.

This is the only code of an episode that awaits anything, and it awaits two things: the agent's reply and the users'
replies.  Therefore the same episode runs inline, in a cluster worker, or against recorded replies.
"""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from muses_eval.pipeline.async_utils import gather_all
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.interfaces import Agent, User
from muses_eval.pipeline.episode.model_call import Call, Reply, Role
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.transcript import Transcript
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
    events: tuple[Event, ...] = ()
    """Events inside the agent; empty for the model alone."""
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

    async def ask(coming: Coroutine[Any, Any, Reply], turn: int) -> str:
        reply = await coming
        if reply.call is not None:
            calls.append(replace(reply.call, turn=turn, step=1))
        return reply.text

    async def ask_users() -> None:
        views = dialogue.next_views
        texts = await gather_all(ask(users[view.name].reply(view), view.turn) for view in views)
        dialogue.add_inputs(tuple(Input(view.name, text) for view, text in zip(views, texts, strict=True)))

    turns = 0
    role: Role = "user"
    failure = None
    try:
        if dialogue.greeted:
            await ask_users()
        while not dialogue.finished:
            role = "agent"
            dialogue.add_reply(await ask(agent.reply(dialogue.observation), dialogue.turn))
            turns += 1
            role = "user"
            await ask_users()
    except ModelFailure as cause:
        failure = EpisodeFailure(role, cause)
    return EpisodeResult(dialogue.transcript, turns, dialogue.unreadable, tuple(calls), failure)
