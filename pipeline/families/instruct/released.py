"""The instruct family in the released evaluator: one prompt with all instructions, and one reply."""

from collections.abc import Callable, Iterable

from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Input, RowPrompt
from muses_eval.pipeline.episode.serialization import ChatMessage


def released_rules(prompt: RowPrompt, system: str, interpret: Callable[[str], Action]) -> EpisodeRules:
    """*system*: the system message, the row's prompt with the format of the reply."""
    return EpisodeRules(system=system, openings=prompt.inputs, max_turns=1, render=_render, interpret=interpret)


def _render(inputs: Iterable[Input]) -> tuple[ChatMessage, ...]:
    lines = [f"<{entry.sender}>{entry.text}</{entry.sender}>\n" for entry in inputs]
    return (ChatMessage("user", "".join(lines)),) if lines else ()
