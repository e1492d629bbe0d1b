"""How an episode proceeds (paper, section 4.1), without any I/O.

Turns t = 1..T.  Every principal that has something to say sends its input in its private session.  The agent sees the
briefing, the inputs and its own earlier replies, and answers once.  A family reads that answer as an :class:`Action`:
texts for named principals, a text for everybody, and whether the agent is done.  Each principal then sees only what
was addressed to it, and those addressed may speak in the next turn.

:class:`Dialogue` is the state of one episode; it decides, and never waits.  :func:`play` is the only code that awaits,
and it awaits two things: the agent's reply and the users' replies.  So the same episode runs inline, in a cluster
worker, or against a recording.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from muses_eval.pipeline.async_utils import all_of
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, Template, serialize
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply
from muses_eval.pipeline.errors import ModelFailure

Role = Literal["agent", "user"]


@dataclass(frozen=True, slots=True)
class Call:
    """One model call as it is recorded.  Token counts are None when the provider did not report them."""

    role: Role
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_s: float
    """From sending the first try to the end of the last one."""
    retries: int
    finish_reason: str
    cached: bool = False
    """True when the reply came from our response cache and no provider was called."""
    cached_tokens: int | None = None
    """Prompt tokens that the provider had in its prefix cache; None when it does not report them."""
    cost_usd: float | None = None
    """None when a price or a count is not known; never 0 instead."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered; ``call`` is None for models that are functions."""

    text: str
    call: Call | None = None


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
class View:
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

    async def reply(self, view: View) -> Reply:
        """What the principal says next; an empty text is silence.  Raises ModelFailure."""
        ...


Interpret = Callable[[str], Action]
"""Reads the agent's reply; never raises, whatever the text."""


class Dialogue:
    """One episode's state: what has been said, whose turn it is, and whether it is over."""

    def __init__(self, scenario: Scenario[object], template: Template, interpret: Interpret, max_turns: int) -> None:
        self._scenario, self._template, self._interpret, self._max_turns = scenario, template, interpret, max_turns
        self._messages = [Message(0, SYSTEM, (AGENT,), scenario.briefing_in(template))]
        self._prompt = [ChatMessage("system", self._messages[0].content)]
        self._inputs: tuple[Input, ...] = ()
        self._addressed: tuple[str, ...] = ()
        self._final = False
        self.turn = 0
        self.unreadable = 0
        """Replies so far that were not in the form asked for."""
        self.hear(scenario.openings)

    @property
    def transcript(self) -> Transcript:
        return Transcript(tuple(self._messages))

    @property
    def observation(self) -> Observation:
        """What the agent sees now."""
        return Observation(self.turn, self._inputs, tuple(self._prompt))

    @property
    def over(self) -> bool:
        """True when the agent is done, the turns are used up, or no principal has anything more to say."""
        return self._final or self.turn > self._max_turns or not self._inputs

    def answer(self, text: str) -> None:
        """Takes the agent's reply of this turn and delivers it."""
        action = self._interpret(text)
        self._messages.append(raw_reply(self.turn, text))
        self._messages += [delivered(self.turn, d.audience, d.text) for d in action.deliveries if d.audience]
        if action.shared:
            self._messages.append(delivered(self.turn, self._scenario.names, action.shared))
        self._prompt.append(ChatMessage("assistant", text))
        self._final = action.final
        self.unreadable += not action.readable
        addressed = {name for delivery in action.deliveries for name in delivery.audience}
        self._addressed = tuple(name for name in self._scenario.names if name in addressed)

    @property
    def awaited(self) -> tuple[View, ...]:
        """The views of those who may speak next, in the scenario's order; empty when no turn is left."""
        if self._final or self.turn >= self._max_turns:
            return ()
        return tuple(self._view(name) for name in self._addressed)

    def hear(self, inputs: tuple[Input, ...]) -> None:
        """Takes what the principals say and opens the next turn."""
        self._inputs = tuple(entry for entry in inputs if entry.text)
        self.turn += 1
        self._messages += [Message(self.turn, entry.sender, (AGENT,), entry.text) for entry in self._inputs]
        self._prompt += serialize(self._template, ((entry.sender, entry.text) for entry in self._inputs))

    def _view(self, name: str) -> View:
        seen = tuple(m for m in self._messages if m.sender == name or (m.sender == AGENT and name in m.audience))
        return View(name, self.turn + 1, seen)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an episode has no score: whose model call failed, and how."""

    role: Role
    cause: ModelFailure


@dataclass(frozen=True, slots=True)
class Playthrough:
    """One played episode; with a ``failure`` the transcript is what had been said until then."""

    transcript: Transcript
    turns: int
    """Replies that the agent gave."""
    unreadable: int
    """How many of them were not in the form asked for."""
    calls: tuple[Call, ...]
    failure: Failure | None = None


async def play(
    dialogue: Dialogue, agent: Agent, users: Mapping[str, User], calls: list[Call] | None = None
) -> Playthrough:
    """Plays one episode to its end.  A failed model call ends it and is reported; nothing else is caught.

    *calls*: where calls are noted as they come back, for a caller that wants to know them even when this raises.
    """
    calls = [] if calls is None else calls

    async def ask(coming: Coroutine[Any, Any, Reply]) -> str:
        reply = await coming
        if reply.call is not None:
            calls.append(reply.call)
        return reply.text

    turns = 0
    role: Role = "agent"
    failure = None
    try:
        while not dialogue.over:
            role = "agent"
            dialogue.answer(await ask(agent.reply(dialogue.observation)))
            turns += 1
            role = "user"
            views = dialogue.awaited
            texts = await all_of(ask(users[view.name].reply(view)) for view in views)
            dialogue.hear(tuple(Input(view.name, text) for view, text in zip(views, texts, strict=True)))
    except ModelFailure as cause:
        failure = Failure(role, cause)
    return Playthrough(dialogue.transcript, turns, dialogue.unreadable, tuple(calls), failure)
