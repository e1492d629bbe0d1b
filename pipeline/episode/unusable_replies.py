"""Replies of the agent that say nothing about the model's ability, counted by kind.

Unusable replies are scored like all others.  A model with many of them, however, is broken or set up wrongly, and its
scores say nothing about it: the leaderboard shows their share, and does not rank a model with too many.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from muses_eval.pipeline.text.reasoning import strip_reasoning

UnusableKind = Literal["overflowed", "filtered", "truncated", "empty", "unreadable"]
"""``overflowed``: the prompt did not fit the model.  ``filtered``: a content filter stopped the reply.  ``truncated``:
the reply was cut off at the maximum length.  ``empty``: it has no words, for instance only reasoning or calls of tools.
``unreadable``: it is not in the format that the briefing requests."""
UNUSABLE_KINDS: tuple[UnusableKind, ...] = get_args(UnusableKind)
"""A reply has the first kind that applies to it."""
DEFAULT_MAX_UNUSABLE = 0.2
"""Share of unusable replies above which a model is not ranked, unless the configuration sets another."""

_BY_FINISH_REASON: dict[str, UnusableKind] = {
    "context_overflow": "overflowed",
    "content_filter": "filtered",
    "length": "truncated",
}


@dataclass(frozen=True, slots=True)
class UnusableReplies:
    """Number of unusable replies by kind; each reply counts once."""

    overflowed: int = 0
    filtered: int = 0
    truncated: int = 0
    empty: int = 0
    unreadable: int = 0

    @classmethod
    def of(cls, kinds: Iterable[UnusableKind | None]) -> "UnusableReplies":
        """Counts the kinds of some replies; None stands for a usable one."""
        counts = Counter(kinds)
        return cls(*(counts[kind] for kind in UNUSABLE_KINDS))

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def is_wordless(text: str) -> bool:
    """Returns True for a text without any visible character."""
    return not any(character.isprintable() and not character.isspace() for character in text)


@dataclass(frozen=True, slots=True)
class ReplyState:
    """Properties of one reply of the agent that decide whether it is usable."""

    text: str
    readable: bool
    """True when the reply is in the format that the briefing requests."""
    finish_reason: str | None
    """Finish reason of the model call that gave the reply; None when no call gave it."""

    @property
    def is_empty(self) -> bool:
        """True for a reply without words, unless a filter or the length of the prompt left the model none."""
        if self._kind_by_finish_reason in ("overflowed", "filtered"):
            return False
        return is_wordless(self.text) or (not self.readable and is_wordless(strip_reasoning(self.text)))

    @property
    def kind(self) -> UnusableKind | None:
        """The kind of an unusable reply; None for a usable one."""
        if self._kind_by_finish_reason is not None:
            return self._kind_by_finish_reason
        if self.is_empty:
            return "empty"
        return None if self.readable else "unreadable"

    @property
    def _kind_by_finish_reason(self) -> UnusableKind | None:
        return _BY_FINISH_REASON.get(self.finish_reason or "")
