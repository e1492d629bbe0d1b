"""The log of the fake provider: every request with its times and its outcome, and sums over all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from muses_eval.pipeline.text.count_text import count_text

RequestOutcome = Literal["in_flight", "answered", "refused", "faulted", "abandoned"]
"""``answered``: a good response was sent completely.  ``refused``: 429, or a malformed request.  ``faulted``: admitted,
and hit by a fault.  ``abandoned``: the client disconnected before its response."""


@dataclass(slots=True)
class LoggedRequest:
    """One request for a completion.  Times are seconds since the first request."""

    at_s: float
    account: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    outcome: RequestOutcome = "in_flight"
    reason: str = ""
    """Reason of a refusal (requests, tokens, concurrency, storm, bad_request) or kind of the fault; else empty."""
    ended_s: float | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Number of answered calls, and their tokens."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(self.calls + other.calls, self.prompt + other.prompt, self.completion + other.completion)

    def __str__(self) -> str:
        return f"{count_text(self.calls, 'call')} ({self.prompt} + {self.completion} tokens)"

    def within(self, other: "TokenUsage") -> bool:
        """Returns True when no number is larger than the other's."""
        return self.calls <= other.calls and self.prompt <= other.prompt and self.completion <= other.completion


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """Sums over the log."""

    asked: int
    answered: int
    refused: Mapping[str, int]
    """Number of refused requests, by reason."""
    faulted: Mapping[str, int]
    """Number of requests hit by a fault, by kind."""
    abandoned: int
    in_flight: int
    by_model: Mapping[str, TokenUsage]
    """Usage of answered calls, by model."""
    peak: int
    """Most requests in flight at one time, without the refused ones."""

    @property
    def accepted(self) -> int:
        """Number of admitted requests, whatever their outcome."""
        return self.asked - sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class PeakUsage:
    """The largest use of one account in any window of its limits, refused requests included."""

    account: str
    window_s: float
    requests: int
    tokens: int
    requests_allowed: int | None
    """Number that the limit allows in a window; None when there is no limit."""
    tokens_allowed: int | None


class RequestLog:
    """All requests.  The provider's thread writes it, and any thread may read it; exact when nothing is in flight."""

    def __init__(self) -> None:
        self.entries: list[LoggedRequest] = []

    def add(self, entry: LoggedRequest) -> LoggedRequest:
        self.entries.append(entry)
        return entry

    def totals(self) -> RequestTotals:
        entries = list(self.entries)
        outcomes = Counter(entry.outcome for entry in entries)
        return RequestTotals(
            asked=len(entries),
            answered=outcomes["answered"],
            refused=Counter(entry.reason for entry in entries if entry.outcome == "refused"),
            faulted=Counter(entry.reason for entry in entries if entry.outcome == "faulted"),
            abandoned=outcomes["abandoned"],
            in_flight=outcomes["in_flight"],
            by_model=_by_model(entry for entry in entries if entry.outcome == "answered"),
            peak=peak_concurrency([(entry.at_s, entry.ended_s) for entry in entries if entry.outcome != "refused"]),
        )

    def entries_of(self, account: str) -> list[LoggedRequest]:
        return [entry for entry in self.entries if entry.account == account]


def largest_window_sum(amounts: Sequence[tuple[float, int]], seconds: float) -> int:
    """Returns the largest sum in any half-open window of this length in seconds, exactly.

    *amounts*: (time, amount) pairs in the order of their times.
    """
    largest = total = first = 0
    for at, amount in amounts:
        total += amount
        while amounts[first][0] <= at - seconds:
            total -= amounts[first][1]
            first += 1
        largest = max(largest, total)
    return largest


def peak_concurrency(spans: Iterable[tuple[float, float | None]]) -> int:
    """Returns the largest number of (start, end) spans that overlap; an end of None lies in the future."""
    steps = []
    for start, end in spans:
        steps.append((start, 1))
        if end is not None:
            steps.append((end, -1))
    most = now = 0
    for _, step in sorted(steps):  # at the same time, ends come first
        now += step
        most = max(most, now)
    return most


def _by_model(answered: Iterable[LoggedRequest]) -> dict[str, TokenUsage]:
    sums: dict[str, TokenUsage] = {}
    for entry in answered:
        one = TokenUsage(1, entry.prompt_tokens, entry.completion_tokens)
        sums[entry.model] = sums.get(entry.model, TokenUsage()) + one
    return sums
