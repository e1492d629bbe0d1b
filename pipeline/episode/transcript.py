"""The transcript of an episode: all messages, with the principals that can see them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muses_eval.pipeline.episode.principal import AGENT


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an episode.

    The agent's raw reply has no audience, because no principal sees it.  The texts that it addresses to principals
    follow as separate messages with these principals as the audience.
    """

    turn: int
    """1-based; 0 for the briefing."""
    sender: str
    audience: tuple[str, ...]
    content: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of one episode in chronological order."""

    messages: tuple[Message, ...]
    from_api: bool = False
    """True when the agent's replies came through an API; an empty one is a failed call in the released code then."""

    def replies(self) -> tuple[tuple[int, str], ...]:
        """Returns the agent's raw replies as (turn, text)."""
        return tuple((m.turn, m.content) for m in self.messages if m.sender == AGENT and not m.audience)

    def deliveries(self, name: str) -> Iterator[Message]:
        """Yields the agent's messages that one principal sees."""
        return (m for m in self.messages if m.sender == AGENT and name in m.audience)

    def deliveries_by_turn(self) -> dict[int, list[Message]]:
        """Returns turn -> the agent's messages that principals see."""
        by_turn: dict[int, list[Message]] = defaultdict(list)
        for message in self.messages:
            if message.sender == AGENT and message.audience:
                by_turn[message.turn].append(message)
        return by_turn


def raw_reply(turn: int, text: str) -> Message:
    """Returns the message with the agent's unparsed reply."""
    return Message(turn, AGENT, (), text)


def delivered(turn: int, audience: Iterable[str], text: str) -> Message:
    """Returns the message with a text of the agent for these principals."""
    return Message(turn, AGENT, tuple(audience), text)
