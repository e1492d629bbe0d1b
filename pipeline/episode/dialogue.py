"""State of one episode.  It applies the rules of the protocol and never waits for anything."""

from collections.abc import Sequence

from muses_eval.pipeline.episode.interfaces import Observation, PrincipalView
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply


class Dialogue:
    """Messages and turns of one episode.

    Call :meth:`add_reply` and :meth:`add_inputs` alternately until the dialogue is :attr:`finished`.  When it is
    :attr:`greeted`, call :meth:`add_inputs` once before.
    """

    def __init__(self, names: Sequence[str], rules: EpisodeRules) -> None:
        """*names*: the principals, in the scenario's order."""
        self._names, self._rules = tuple(names), rules
        self._messages = [Message(0, SYSTEM, (AGENT,), rules.system)]
        self._prompt = [ChatMessage("system", rules.system)]
        self._inputs: tuple[Input, ...] = ()
        self._addressed: tuple[str, ...] = ()
        self._final = False
        self.turn = 0
        self.unreadable = 0
        """Number of replies so far that were not in the requested format."""
        if rules.greeting:
            self._messages.append(delivered(0, self._names, rules.greeting))
            self._prompt.append(ChatMessage("assistant", rules.greeting))
            self._addressed = self._names
        else:
            self.add_inputs(rules.openings)

    @property
    def transcript(self) -> Transcript:
        return Transcript(tuple(self._messages))

    @property
    def observation(self) -> Observation:
        """Input of the agent in this turn."""
        return Observation(self.turn, self._inputs, tuple(self._prompt), self._rules.max_turns - self.turn)

    @property
    def greeted(self) -> bool:
        """True when the agent has greeted the principals, and they have not answered yet."""
        return self.turn == 0

    @property
    def finished(self) -> bool:
        """True when the agent is done, no turn is left, or silence ends the episode."""
        silent = self._rules.ends_in_silence and not self._inputs
        return self._final or self.turn > self._rules.max_turns or silent

    def add_reply(self, text: str) -> bool:
        """Adds the agent's reply of this turn and delivers it to the addressed principals.

        Returns whether the reply was in the requested format.
        """
        action = self._rules.interpret(text)
        self._messages.append(raw_reply(self.turn, text))
        self._messages += [delivered(self.turn, d.audience, d.text) for d in action.deliveries if d.audience]
        if action.shared:
            self._messages.append(delivered(self.turn, self._names, action.shared))
        self._prompt.append(ChatMessage("assistant", text if action.kept is None else action.kept))
        self._final = action.final
        self.unreadable += not action.readable
        addressed = {name for delivery in action.deliveries for name in delivery.audience}
        self._addressed = tuple(name for name in self._names if name in addressed)
        return action.readable

    @property
    def next_views(self) -> tuple[PrincipalView, ...]:
        """Views of the principals that may speak next, in the scenario's order; empty when no turn is left."""
        if self._final or self.turn >= self._rules.max_turns:
            return ()
        return tuple(self._view(name) for name in self._addressed)

    def add_inputs(self, inputs: tuple[Input, ...]) -> None:
        """Adds the principals' inputs and starts the next turn.  Empty inputs are ignored."""
        self._inputs = tuple(entry for entry in inputs if entry.text)
        self.turn += 1
        self._messages += [Message(self.turn, entry.sender, (AGENT,), entry.text) for entry in self._inputs]
        self._prompt += self._rules.render(self._inputs)

    def _view(self, name: str) -> PrincipalView:
        seen = tuple(m for m in self._messages if m.sender == name or (m.sender == AGENT and name in m.audience))
        return PrincipalView(name, self.turn + 1, seen)
