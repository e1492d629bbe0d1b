"""Holds an announced time back until all required principals have agreed to it in their own words."""

import re
from collections.abc import Callable, Iterator, Sequence

from muses_eval.pipeline.agents.interface import Turn, TurnReply
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import json_objects

_TIME = re.compile(
    r"\b(?P<day>mon|tue|wed|thu|fri|sat|sun)[a-z]*\b\D{0,12}"
    r"\b(?P<hour>[01]?\d|2[0-3])(?::(?P<minute>[0-5]\d))?(?!\d)\s*(?P<half>[ap]\.?m\b)?",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[;\n]")
_REFUSING = re.compile(
    r"\b(?:no|not|none|never|neither|nor|cannot|unable|unfortunately|sorry|busy|conflict|instead)\b|n['’]t\b",
    re.IGNORECASE,
)
_QUESTION = "{name}, could you come on {schedule}? Please answer with the day and the time."


class ScheduleGuard:
    """Reads times as a weekday with an hour behind it, such as ``Mon 13:00``, ``Monday at 1 pm``."""

    def __init__(self, required: Sequence[str], log: Callable[[str], None]) -> None:
        self._required, self._log = required, log
        self._agreed: dict[str, set[tuple[str, int]]] = {name: set() for name in required}

    def enforced(self, turn: Turn, text: str) -> str | TurnReply:
        """Returns the reply as it is, or questions instead of an announcement that comes too early."""
        for entry in turn.inputs:
            self._agreed.get(entry.sender, set()).update(_accepted(entry.text))
        schedule = _announced(text)
        wanted = next(_times(schedule), None)
        missing = [name for name in self._required if wanted is not None and wanted not in self._agreed[name]]
        if not missing:
            return text
        self._log(f"announcement of {schedule} withheld: no agreement of {', '.join(missing)}")
        return TurnReply(to={name: _QUESTION.format(name=name, schedule=schedule) for name in missing})


def _announced(text: str) -> str:
    """Returns the time in the object that ends the conversation; empty when there is none."""
    objects = [value for value in json_objects(strip_reasoning(text)) if value.get("goal_achieved") is True]
    schedule = objects[-1].get("final_schedule") if objects else ""
    return schedule if isinstance(schedule, str) else ""


def _accepted(text: str) -> Iterator[tuple[str, int]]:
    """Yields the times in the sentences that do not refuse anything."""
    for sentence in _SENTENCE_END.split(text):
        if not _REFUSING.search(sentence):
            yield from _times(sentence)


def _times(text: str) -> Iterator[tuple[str, int]]:
    """Yields (weekday, minute of the day)."""
    for found in _TIME.finditer(text):
        hour, half = int(found["hour"]), (found["half"] or "").casefold()
        if half:
            hour = hour % 12 + (12 if half.startswith("p") else 0)
        yield found["day"].casefold(), hour * 60 + int(found["minute"] or 0)
