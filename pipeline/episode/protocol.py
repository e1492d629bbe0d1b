"""Protocol of an episode (paper, section 4.1): what an agent and the users are given, and what they return.

An episode has turns t = 1..T.  In each turn, every principal that has something to say sends an input in its private
session.  The agent receives the briefing, the inputs and its own earlier replies, and replies once.  The family reads
this reply as an :class:`Action`: texts for named principals, a text for all of them, and whether the agent is done.
Each principal sees only what was addressed to it, and the addressed principals may speak in the next turn.

:class:`muses_eval.pipeline.episode.dialogue.Dialogue` implements these rules, and
:func:`muses_eval.pipeline.episode.play_episode.play_episode` calls the models.
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
    """A text of the agent for some principals."""

    audience: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """What the agent's reply means in the protocol."""

    deliveries: tuple[Delivery, ...] = ()
    """Those addressed may answer in the next turn."""
    shared: str = ""
    """What it writes into the shared context: every principal sees it and none is asked to reply."""
    final: bool = False
    """Whether the agent has declared itself done."""
    readable: bool = True
    """False when the reply is not in the form that the briefing asks for; it is scored all the same."""


@dataclass(frozen=True, slots=True)
class PrincipalView:
    """Everything that one principal has seen and said so far: the only thing its user model is given."""

    name: str
    turn: int
    """The turn for which the principal is asked to speak."""
    messages: tuple[Message, ...]

    @property
    def last_heard(self) -> str:
        """What the agent addressed to the principal in the turn before, joined by line breaks."""
        heard = (m.content for m in self.messages if m.sender == AGENT and m.turn == self.turn - 1)
        return "\n".join(heard)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the agent is given in one turn."""

    turn: int
    inputs: tuple[Input, ...]
    """What the principals said in this turn."""
    prompt: tuple[ChatMessage, ...]
    """The briefing and the conversation up to and with these inputs, serialised: what a language model reads."""


class Agent(Protocol):
    """The model under test, in one episode."""

    async def reply(self, observation: Observation) -> Reply:
        """Raises ModelFailure when there is no answer to be had."""
        ...


class User(Protocol):
    """Plays one principal in one episode."""

    async def reply(self, view: PrincipalView) -> Reply:
        """What the principal says next; an empty text is silence.  Raises ModelFailure."""
        ...
