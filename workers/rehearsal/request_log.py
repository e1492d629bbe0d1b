"""The log of a rehearsal's provider: every request with its times and its outcome, and the sums that follow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RequestOutcome = Literal["in_flight", "answered", "refused", "faulted", "abandoned"]
"""``answered``: a good answer was sent as a whole.  ``refused``: 429, or a request that makes no sense.  ``faulted``:
let in, and answered badly or not at all.  ``abandoned``: the client went away before its answer."""


@dataclass(slots=True)
class LoggedRequest:
    """One request for a completion.  Times are seconds since the first request."""

    at_s: float
    account: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    verdict: RequestOutcome = "in_flight"
    reason: str = ""
    """Reason of a refusal (requests, tokens, concurrency, storm, bad_request), or kind of the fault; empty: neither."""
    ended_s: float | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Calls that were answered, and their tokens."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(self.calls + other.calls, self.prompt + other.prompt, self.completion + other.completion)

    def __str__(self) -> str:
        return f"{self.calls} calls ({self.prompt} + {self.completion} tokens)"

    def within(self, other: "TokenUsage") -> bool:
        """Whether none of the numbers is larger than the other's."""
        return self.calls <= other.calls and self.prompt <= other.prompt and self.completion <= other.completion


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """The log in a few numbers."""

    asked: int
    answered: int
    refused: Mapping[str, int]
    """By reason."""
    faulted: Mapping[str, int]
    """By kind."""
    abandoned: int
    in_flight: int
    by_model: Mapping[str, TokenUsage]
    """Tokens of answered calls, by model."""
    peak: int
    """Most requests in flight at one time, those that were refused not counted."""

    @property
    def accepted(self) -> int:
        """What was let in, whatever became of it."""
        return self.asked - sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class PeakUsage:
    """The largest use of one account in any window of its limits, refused requests included."""

    account: str
    window_s: float
    requests: int
    tokens: int
    requests_allowed: int | None
    """None: no limit."""
    tokens_allowed: int | None


class RequestLog:
    """All requests.  The provider's thread writes it, any thread may read it; exact when nothing is in flight."""

    def __init__(self) -> None:
        self.entries: list[LoggedRequest] = []

    def add(self, entry: LoggedRequest) -> LoggedRequest:
        self.entries.append(entry)
        return entry

    def totals(self) -> RequestTotals:
        entries = list(self.entries)
        verdicts = Counter(entry.verdict for entry in entries)
        return RequestTotals(
            asked=len(entries),
            answered=verdicts["answered"],
            refused=Counter(entry.reason for entry in entries if entry.verdict == "refused"),
            faulted=Counter(entry.reason for entry in entries if entry.verdict == "faulted"),
            abandoned=verdicts["abandoned"],
            in_flight=verdicts["in_flight"],
            by_model=_by_model(entry for entry in entries if entry.verdict == "answered"),
            peak=peak([(entry.at_s, entry.ended_s) for entry in entries if entry.verdict != "refused"]),
        )

    def of_account(self, account: str) -> list[LoggedRequest]:
        return [entry for entry in self.entries if entry.account == account]


def largest_window(amounts: Sequence[tuple[float, int]], seconds: float) -> int:
    """The largest sum in any half-open window of so many seconds, exactly.

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


def peak(spans: Iterable[tuple[float, float | None]]) -> int:
    """How many of these (start, end) spans overlap at the most; None: it has not ended."""
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
