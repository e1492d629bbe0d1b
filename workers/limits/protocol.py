"""The messages between a worker and the coordinator about an account: plain values.

A worker reports what it did since its last report and what it needs; the coordinator answers with a lease.  All times
are on the coordinator's clock, with which workers compare their own at every renewal.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.workers.limits.account import Account

LEASE_S = 5.0
"""A worker that has not renewed for this long is lost, and what it held is free again."""
HORIZON_S = 1.0
"""Seconds ahead for which time slots are granted."""
_NEW_WEIGHT = 0.05
"""Weight of a new attempt in the moving averages."""
_DECAY = 0.999
"""Factor on the largest attempt, for every later attempt."""

Source = Literal["declared", "reported", "learned", "free"]
"""Origin of a bound: the config, the provider's headers, its refusals, or none (no bound)."""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """A worker that holds leases: one event loop of one run.  Leases are fair between runs, then within each run."""

    run: str
    worker: str
    weight: int = 1
    """Weight of the run: a run of weight 3 gets three times as much as one of weight 1 when both want more."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests and tokens that are allowed per second; None: unlimited."""

    requests: float | None = None
    tokens: float | None = None

    def seconds(self, tokens: float, attempts: int = 1) -> tuple[float, float]:
        """Returns the seconds that attempts take of the limit of requests and of the limit of tokens."""
        return attempts / self.requests if self.requests else 0.0, tokens / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class TimeSlot:
    """A piece of an account's timeline, for one worker alone."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def after(self, time: float) -> "TimeSlot":
        """Returns the part after *time*; it may be empty."""
        return TimeSlot(min(max(self.start, time), self.end), self.end)

    def later(self, seconds: float) -> "TimeSlot":
        """Returns the same slot shifted by some seconds, for another clock."""
        return TimeSlot(self.start + seconds, self.end + seconds)


@dataclass(frozen=True, slots=True)
class TokenStats:
    """Moving statistics of the tokens of answered attempts."""

    mean: float = 0.0
    """0 while no attempt has been answered."""
    largest: float = 0.0
    bias: float = 0.0
    """Mean of used minus estimated tokens."""
    off: float = 0.0
    """Root mean square error of the estimates, after the bias."""

    def updated(self, tokens: float, estimate: float) -> "TokenStats":
        """Returns the statistics after one more attempt."""
        if not self.mean:
            return TokenStats(tokens, tokens, tokens - estimate)
        off = tokens - estimate - self.bias
        return TokenStats(
            self.mean + _NEW_WEIGHT * (tokens - self.mean),
            max(tokens, self.largest * _DECAY),
            self.bias + _NEW_WEIGHT * off,
            math.sqrt(self.off**2 + _NEW_WEIGHT * (off**2 - self.off**2)),
        )


@dataclass(frozen=True, slots=True)
class LearnedLimits:
    """Bounds learned from refusals.  None: no bound yet."""

    requests_per_s: float | None = None
    concurrency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """A worker's report on one account."""

    declared: Limits
    """Declared by its endpoints; the smallest where they differ."""
    cut: int = 0
    """The cut number of its last lease."""
    in_flight: int = 0
    waiting: int = 0
    wanted_s: float = 0.0
    """Seconds of the timeline that it wants beside those it holds."""
    slot_sizes_s: tuple[float, ...] = ()
    """Useful lengths of the next slot in seconds: for one attempt, for two, and so on, and none in between."""
    urgent: bool = False
    """True when the next attempt waits for its slot."""
    held_until: float | None = None
    """End of the last slot that it holds."""
    returned: tuple[TimeSlot, ...] = ()
    """Slots that it does not need."""
    sizes: TokenStats = TokenStats()
    crowded: bool = False
    """True when an attempt had to wait because too many were in flight."""
    paced: bool = False
    """True when an attempt had to wait for its time slot."""
    learned: LearnedLimits = LearnedLimits()
    """Bounds from its last lease, for a coordinator that was restarted."""

    # Since the last report:
    started: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    refused_after_cut: int = 0
    """Refused attempts that were started after the cut (see :class:`Lease`)."""
    answered_after_cut: int = 0
    tokens: int = 0
    """Used by answered attempts."""
    retry_after_s: float | None = None
    """The longest pause that a refusal asked for, from now on."""
    header_limits: Limits | None = None
    """Limits in the headers of the last response that had any."""
    problem: str | None = None
    """The last refusal or failure, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's share of one account's limits until it renews, or until LEASE_S have passed."""

    cut: int
    """Number of cuts of the account's bounds; a refusal of an attempt from before the last cut is not counted again."""
    concurrency: int | None
    """Attempts in flight; None: any number."""
    rates: Rates = Rates()
    """Rates at which attempts use the timeline."""
    max_starts: int | None = None
    """Number of attempts that may start regardless of time slots; None: as many as the slots allow."""
    slot: TimeSlot | None = None
    """A new slot, beside those that the worker still holds."""
    hold_until: float = 0.0
    """No attempt starts before this time; slots before it are void."""
    learned: LearnedLimits = LearnedLimits()


class CoordinatorUnavailableError(Exception):
    """The coordinator does not respond; it may be restarting."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """The coordinator's answer to all reports of a worker."""

    coordinator: str
    """Name of the coordinator's process; when it changes, the coordinator was restarted and its slots are void."""
    now: float
    leases: Mapping[Account, Lease] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """The state of one account, for people, alarms and metrics."""

    name: str
    calls_per_s: float
    """Mean of the last ten seconds; the same holds for the next three fields."""
    tokens_per_s: float
    refused_share: float
    """Share of the attempts that ended."""
    failed_share: float
    requests_per_minute: float | None
    """The bound in force; None: no bound."""
    tokens_per_minute: float | None
    concurrency: int | None
    source: Source
    """Source of the bound on requests, or else of the bound on attempts in flight."""
    in_flight: int
    waiting: int
    paused_s: float
    """Seconds until attempts may start again, after a refusal."""
    answered: int
    """Number of answered attempts since the coordinator's start."""
    refused: int
    """Number of refused attempts (429) since the coordinator's start."""
    failed: int
    """Number of failed attempts since the coordinator's start."""
    success_age_s: float | None
    """Seconds since the last answer; None: no answer yet."""
    try_age_s: float | None
    """Seconds since an attempt last started or ended; None: no attempt yet."""
    problem: str | None


@dataclass(frozen=True, slots=True)
class LimitsSnapshot:
    """The state of several accounts."""

    accounts: tuple[AccountStatus, ...] = ()
