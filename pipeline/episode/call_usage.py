"""What model calls used: counts, tokens, money, and how much of it is not known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from muses_eval.pipeline.episode.model_call import Call

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class CallUsage:
    """Sums over calls that a provider was asked for; answers out of our own response cache used nothing."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    uncounted: int = 0
    """Calls that did not report all their tokens; what they did report is in the sums."""
    unpriced: int = 0
    """Calls whose cost is not known."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_usd(self) -> float | None:
        """None when that of one call is not known."""
        return None if self.unpriced else self.usd

    def __add__(self, other: "CallUsage") -> "CallUsage":
        return CallUsage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.usd + other.usd,
            self.uncounted + other.uncounted,
            self.unpriced + other.unpriced,
        )

    def __sub__(self, other: "CallUsage") -> "CallUsage":
        return CallUsage(
            self.calls - other.calls,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.usd - other.usd,
            self.uncounted - other.uncounted,
            self.unpriced - other.unpriced,
        )

    @classmethod
    def of(cls, calls: Iterable[Call]) -> "CallUsage":
        paid = [call for call in calls if not call.cached]
        return cls(
            calls=len(paid),
            prompt_tokens=sum(call.prompt_tokens or 0 for call in paid),
            completion_tokens=sum(call.completion_tokens or 0 for call in paid),
            usd=sum(call.cost_usd or 0.0 for call in paid),
            uncounted=sum(call.prompt_tokens is None or call.completion_tokens is None for call in paid),
            unpriced=sum(call.cost_usd is None for call in paid),
        )


def sum_or_none(parts: Iterable[Number | None]) -> Number | None:
    """The sum; None when one part is not known."""
    listed = list(parts)
    known = [part for part in listed if part is not None]
    return sum(known) if len(known) == len(listed) else None
