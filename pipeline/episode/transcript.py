"""What was said in an episode, and who could see it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muses_eval.pipeline.episode.principal import AGENT


@dataclass(frozen=True, slots=True)
class Message:
    """One text of an episode.

    The agent's raw reply has no audience: only the harness sees it as it is.  What the agent addresses to
    principals follows as messages of its own with these principals as audience.
    """

    turn: int
    """1-based; 0 for the briefing."""
    sender: str
    audience: tuple[str, ...]
    content: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of one episode in the order in which they were said."""

    messages: tuple[Message, ...]

    def replies(self) -> tuple[tuple[int, str], ...]:
        """The agent's raw replies as (turn, text)."""
        return tuple((m.turn, m.content) for m in self.messages if m.sender == AGENT and not m.audience)

    def deliveries(self, name: str) -> Iterator[Message]:
        """What the agent let one principal see."""
        return (m for m in self.messages if m.sender == AGENT and name in m.audience)

    def deliveries_by_turn(self) -> dict[int, list[Message]]:
        """What the agent let principals see, by turn."""
        by_turn: dict[int, list[Message]] = defaultdict(list)
        for message in self.messages:
            if message.sender == AGENT and message.audience:
                by_turn[message.turn].append(message)
        return by_turn


def raw_reply(turn: int, text: str) -> Message:
    """The agent's reply as the model gave it."""
    return Message(turn, AGENT, (), text)


def delivered(turn: int, audience: Iterable[str], text: str) -> Message:
    """A text that the agent let these principals see."""
    return Message(turn, AGENT, tuple(audience), text)
