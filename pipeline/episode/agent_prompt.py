"""The agent's prompt: the scenario's briefing as the system message, then the turns as chat messages.

The text of the briefing comes from the scenario (:meth:`muses_eval.pipeline.episode.scenario.Scenario.briefing_in`).
:mod:`muses_eval.pipeline.episode.serialization` turns the principals' inputs into chat messages.  The prompts of
simulated users are in :mod:`muses_eval.pipeline.episode.user_prompt`.
"""

from collections.abc import Iterable

from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage, Template, serialize


class AgentPrompt:
    """Prompt of the agent in one episode.  It grows with every turn."""

    def __init__(self, briefing: str, template: Template) -> None:
        self._template = template
        self._messages = [ChatMessage("system", briefing)]

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """All chat messages so far, the system message first."""
        return tuple(self._messages)

    def add_inputs(self, inputs: Iterable[Input]) -> None:
        """Appends what the principals said in one turn."""
        self._messages += serialize(self._template, ((entry.sender, entry.text) for entry in inputs))

    def add_reply(self, text: str) -> None:
        """Appends the agent's own reply."""
        self._messages.append(ChatMessage("assistant", text))
