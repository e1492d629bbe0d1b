"""Recorded replies of an agent, one per turn, without the users' answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.datasets.row_reader import read_field, read_strings
from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Message, Transcript, delivered, raw_reply

Interpret = Callable[[str], Action]
"""Reads a reply of the agent; never raises an exception, whatever the text is."""


@dataclass(frozen=True, slots=True)
class RecordedReplies:
    """The agent's raw replies in chronological order."""

    by_turn: tuple[tuple[int, str], ...]
    """(turn, text), with turns from 1."""
    from_api: bool
    """True when the replies came through an API (:attr:`Transcript.from_api`)."""

    def transcript(self, scenario: Scenario[object], interpret: Interpret, max_turns: int) -> Transcript:
        """Returns the transcript up to the reply that ends the episode for *interpret*."""
        messages: list[Message] = []
        for turn, reply in self.by_turn[:max_turns]:
            action = interpret(reply)
            messages.append(raw_reply(turn, reply))
            messages += [delivered(turn, each.audience, each.text) for each in action.deliveries if each.audience]
            if action.shared:
                messages.append(delivered(turn, scenario.names, action.shared))
            if action.final:
                break
        return Transcript(tuple(messages), from_api=self.from_api)


def read_recorded_replies(case: Mapping[str, object]) -> RecordedReplies:
    """Reads ``replies``, a list of strings, and ``from_api``.

    Raises:
        RowError: a field is missing or of another type.
    """
    return RecordedReplies(tuple(enumerate(read_strings(case, "replies"), 1)), read_from_api(case))


def read_from_api(case: Mapping[str, object]) -> bool:
    """Returns ``from_api``, whether the replies came through an API; false when it is missing.

    Raises:
        RowError: it is not true or false.
    """
    return "from_api" in case and read_field(case, "from_api", bool)
