"""Interfaces of an episode (paper, section 4.1): the inputs and replies of the agent and of the users.

An episode has turns t = 1..T.  In each turn, every principal that has something to say sends an input in its private
session.  The agent receives the briefing, the inputs and its own earlier replies, and replies once.  The family reads
this reply as an :class:`Action`: texts for named principals, a text for all of them, and whether the agent is done.
Each principal sees only what was addressed to it, and the addressed principals may speak in the next turn.

:class:`muses_eval.pipeline.episode.dialogue.Dialogue` implements these rules, with the details of a protocol
(:mod:`muses_eval.pipeline.episode.rules`), and :func:`muses_eval.pipeline.episode.play_episode.play_episode` calls the
models.
"""

from dataclasses import dataclass
from typing import Protocol

from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.episode.transcript import Message


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text that the agent addresses to some principals."""

    audience: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """The parsed reply of the agent."""

    deliveries: tuple[Delivery, ...] = ()
    """Texts for named principals, which may reply in the next turn."""
    shared: str = ""
    """Text for the shared context: every principal sees it, and none is asked to reply."""
    final: bool = False
    """True when the agent has declared that it is done."""
    readable: bool = True
    """False when the reply is not in the format that the briefing requests; it is scored nevertheless."""
    kept: str | None = None
    """Text that stands for the reply in the agent's later prompts; None for the reply as it is."""


@dataclass(frozen=True, slots=True)
class PrincipalView:
    """All messages that one principal has sent or seen so far.  Its user model receives nothing else."""

    name: str
    turn: int
    """Turn in which the principal is asked to speak."""
    messages: tuple[Message, ...]

    @property
    def last_received(self) -> str:
        """Texts that the agent addressed to the principal in the previous turn, joined by line breaks."""
        heard = (m.content for m in self.messages if m.sender == AGENT and m.turn == self.turn - 1)
        return "\n".join(heard)


@dataclass(frozen=True, slots=True)
class Observation:
    """Input of the agent in one turn."""

    turn: int
    inputs: tuple[Input, ...]
    """Messages of the principals in this turn."""
    prompt: tuple[ChatMessage, ...]
    """Chat messages for a language model: the briefing and the conversation, including these inputs."""
    turns_left: int = 0
    """Number of turns that can follow this one."""


class Agent(Protocol):
    """The model under test in one episode."""

    async def reply(self, observation: Observation) -> Reply:
        """Returns the agent's reply.  Raises ModelFailure when the model returns none."""
        ...


class User(Protocol):
    """The player of one principal in one episode."""

    async def reply(self, view: PrincipalView) -> Reply:
        """Returns the principal's next message, which is empty for silence.  Raises ModelFailure when there is none."""
        ...
