"""What the provider was asked and what became of it: every request with its times, and the sums that follow."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["in_flight", "answered", "refused", "faulted", "abandoned"]
"""``answered``: a good answer was sent as a whole.  ``refused``: 429, or a request that makes no sense.  ``faulted``:
let in, and answered badly or not at all.  ``abandoned``: the client went away before its answer."""


@dataclass(slots=True)
class Entry:
    """One request for a completion.  Times are seconds since the first request."""

    at_s: float
    account: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    verdict: Verdict = "in_flight"
    reason: str = ""
    """Of a refusal: requests, tokens, concurrency, storm, bad_request; otherwise the kind of the fault, if any."""
    ended_s: float | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Tokens:
    """Calls that were answered, and their tokens."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.calls + other.calls, self.prompt + other.prompt, self.completion + other.completion)

    def __str__(self) -> str:
        return f"{self.calls} calls ({self.prompt} + {self.completion} tokens)"

    def within(self, other: "Tokens") -> bool:
        """Whether none of the numbers is larger than the other's."""
        return self.calls <= other.calls and self.prompt <= other.prompt and self.completion <= other.completion


@dataclass(frozen=True, slots=True)
class Totals:
    """The books in a few numbers."""

    asked: int
    answered: int
    refused: Mapping[str, int]
    """By reason."""
    faulted: Mapping[str, int]
    """By kind."""
    abandoned: int
    in_flight: int
    by_model: Mapping[str, Tokens]
    """Of answered calls only."""
    peak: int
    """Most requests in flight at one time, those that were refused not counted."""

    @property
    def accepted(self) -> int:
        """What was let in, whatever became of it."""
        return self.asked - sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Busiest:
    """The most that one account was asked for in any window of its limits, refused requests included."""

    account: str
    window_s: float
    requests: int
    tokens: int
    requests_allowed: int | None
    """None: no limit."""
    tokens_allowed: int | None


class Books:
    """Written by the provider's thread; read by anyone, exact when nothing is in flight."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def open(self, entry: Entry) -> Entry:
        self.entries.append(entry)
        return entry

    def totals(self) -> Totals:
        entries = list(self.entries)
        verdicts = Counter(entry.verdict for entry in entries)
        return Totals(
            asked=len(entries),
            answered=verdicts["answered"],
            refused=Counter(entry.reason for entry in entries if entry.verdict == "refused"),
            faulted=Counter(entry.reason for entry in entries if entry.verdict == "faulted"),
            abandoned=verdicts["abandoned"],
            in_flight=verdicts["in_flight"],
            by_model=_by_model(entry for entry in entries if entry.verdict == "answered"),
            peak=peak([(entry.at_s, entry.ended_s) for entry in entries if entry.verdict != "refused"]),
        )

    def of_account(self, account: str) -> list[Entry]:
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


def _by_model(answered: Iterable[Entry]) -> dict[str, Tokens]:
    sums: dict[str, Tokens] = {}
    for entry in answered:
        one = Tokens(1, entry.prompt_tokens, entry.completion_tokens)
        sums[entry.model] = sums.get(entry.model, Tokens()) + one
    return sums
