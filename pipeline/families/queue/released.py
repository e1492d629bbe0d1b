"""The queue family in the released evaluator: one prompt with all instructions, grouped by user, and one reply."""

from collections.abc import Callable, Iterable
from itertools import groupby

from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Input, RowPrompt
from muses_eval.pipeline.episode.serialization import ChatMessage


def released_rules(prompt: RowPrompt, interpret: Callable[[str], Action]) -> EpisodeRules:
    return EpisodeRules(system=prompt.system, openings=prompt.inputs, max_turns=1, render=_render, interpret=interpret)


def _render(inputs: Iterable[Input]) -> tuple[ChatMessage, ...]:
    blocks = []
    for name, entries in groupby(inputs, lambda entry: entry.sender):
        lines = "".join(f"{entry.text}\n" for entry in entries)
        blocks.append(f"<{name}>\n{lines}</{name}>\n\n")
    return (ChatMessage("user", "".join(blocks)),) if blocks else ()
