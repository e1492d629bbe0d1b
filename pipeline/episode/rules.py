"""The rules of one episode, which a protocol makes of a scenario.

:class:`muses_eval.pipeline.episode.dialogue.Dialogue` applies them.  :mod:`muses_eval.pipeline.protocols` has the
protocols.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRules:
    """What the agent is sent, how its replies are read, and when the episode ends."""

    system: str
    """System message of the agent."""
    greeting: str = ""
    """First message of the agent, to all principals.  They answer it before the first turn, and their answers take the
    place of ``openings``.  Empty when the principals speak first."""
    openings: tuple[Input, ...] = ()
    """Inputs of the first turn."""
    max_turns: int
    ends_in_silence: bool = True
    """True when the episode ends as soon as no principal says anything; False when the agent is asked again."""
    render: Callable[[Iterable[Input]], tuple[ChatMessage, ...]]
    """Converts the inputs of one turn to chat messages; no message without inputs."""
    interpret: Callable[[str], Action]
    """Parses the agent's reply.  It never raises an exception, whatever the text is."""
