"""The parts of the released evaluator's conversations that access and meeting share."""

from collections.abc import Iterable

from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage

MAX_ROUNDS = 10
EVERYBODY = "all"
"""Target of a message to all principals; no other spelling counts."""
FAILED = Action(final=True, readable=False)
"""Action of a reply on which the released code fails; it ends the episode."""


def render_inputs(inputs: Iterable[Input]) -> tuple[ChatMessage, ...]:
    """Returns one user message with a line ``[name]: text`` per input; empty without inputs."""
    lines = [f"[{entry.sender}]: {entry.text}" for entry in inputs]
    return (ChatMessage("user", "\n".join(lines)),) if lines else ()
