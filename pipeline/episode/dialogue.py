"""State of one episode.  It applies the rules of the protocol and never waits for anything."""

from collections.abc import Callable

from muses_eval.pipeline.episode.agent_prompt import AgentPrompt
from muses_eval.pipeline.episode.interfaces import Action, Observation, PrincipalView
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import Template
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply

Interpret = Callable[[str], Action]
"""Parses the agent's reply.  It never raises an exception, whatever the text is."""


class Dialogue:
    """Messages and turns of one episode.

    Call :meth:`add_reply` and :meth:`add_inputs` alternately until the dialogue is :attr:`finished`.
    """

    def __init__(self, scenario: Scenario[object], template: Template, interpret: Interpret, max_turns: int) -> None:
        self._scenario, self._interpret, self._max_turns = scenario, interpret, max_turns
        briefing = scenario.briefing_in(template)
        self._messages = [Message(0, SYSTEM, (AGENT,), briefing)]
        self._prompt = AgentPrompt(briefing, template)
        self._inputs: tuple[Input, ...] = ()
        self._addressed: tuple[str, ...] = ()
        self._final = False
        self.turn = 0
        self.unreadable = 0
        """Number of replies so far that were not in the requested format."""
        self.add_inputs(scenario.openings)

    @property
    def transcript(self) -> Transcript:
        return Transcript(tuple(self._messages))

    @property
    def observation(self) -> Observation:
        """Input of the agent in this turn."""
        return Observation(self.turn, self._inputs, self._prompt.messages)

    @property
    def finished(self) -> bool:
        """True when the agent is done, no turn is left, or no principal has said anything."""
        return self._final or self.turn > self._max_turns or not self._inputs

    def add_reply(self, text: str) -> None:
        """Adds the agent's reply of this turn and delivers it to the addressed principals."""
        action = self._interpret(text)
        self._messages.append(raw_reply(self.turn, text))
        self._messages += [delivered(self.turn, d.audience, d.text) for d in action.deliveries if d.audience]
        if action.shared:
            self._messages.append(delivered(self.turn, self._scenario.names, action.shared))
        self._prompt.add_reply(text)
        self._final = action.final
        self.unreadable += not action.readable
        addressed = {name for delivery in action.deliveries for name in delivery.audience}
        self._addressed = tuple(name for name in self._scenario.names if name in addressed)

    @property
    def next_views(self) -> tuple[PrincipalView, ...]:
        """Views of the principals that may speak next, in the scenario's order; empty when no turn is left."""
        if self._final or self.turn >= self._max_turns:
            return ()
        return tuple(self._view(name) for name in self._addressed)

    def add_inputs(self, inputs: tuple[Input, ...]) -> None:
        """Adds the principals' inputs and starts the next turn.  Empty inputs are ignored."""
        self._inputs = tuple(entry for entry in inputs if entry.text)
        self.turn += 1
        self._messages += [Message(self.turn, entry.sender, (AGENT,), entry.text) for entry in self._inputs]
        self._prompt.add_inputs(self._inputs)

    def _view(self, name: str) -> PrincipalView:
        seen = tuple(m for m in self._messages if m.sender == name or (m.sender == AGENT and name in m.audience))
        return PrincipalView(name, self.turn + 1, seen)
