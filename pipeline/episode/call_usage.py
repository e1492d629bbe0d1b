"""Usage of model calls: number of calls, tokens and cost, and the number of calls with unknown values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from muses_eval.pipeline.episode.model_call import Call

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class CallUsage:
    """Sums over the calls that reached a provider; replies from the response cache used nothing."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    uncounted: int = 0
    """Number of calls that did not report all their tokens; the reported tokens are in the sums."""
    unpriced: int = 0
    """Number of calls with an unknown cost."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_usd(self) -> float | None:
        """Total cost; None when the cost of a call is unknown."""
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
    """Returns the sum, or None when a part is None."""
    listed = list(parts)
    known = [part for part in listed if part is not None]
    return sum(known) if len(known) == len(listed) else None
