"""What a worker and the keeper tell one another about an account: plain values.

A worker reports what it did since it last reported and what it needs; the keeper answers with a lease.  All times are
on the keeper's clock, with which workers compare theirs at every renewal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.specs import Limits
from workers.limits.account import Account

LEASE_S = 5.0
"""A worker that has not renewed for so long is gone, and what it was lent comes back."""
HORIZON_S = 1.0
"""How far ahead sending times are given away."""

Source = Literal["declared", "told", "learned", "free"]
"""Where a bound comes from: the config, the provider's headers, its refusals, or nowhere: there is none."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds leases: one event loop that plays for one run.  Leases are fair between runs, then within each."""

    run: str
    worker: str
    weight: int = 1
    """Of the run: with 3 it gets three times as much as one with 1 where both want more."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Sending times at equal distances; one try may start at each."""

    start: float
    spacing: float
    count: int
    tokens_each: float = 0.0
    """That the time until the next one allows; 0: tokens are not limited."""

    @property
    def end(self) -> float:
        """The last one."""
        return self.start + (self.count - 1) * self.spacing

    def count_before(self, time: float) -> int:
        """How many of them lie before *time*."""
        if self.start >= time or not self.count:
            return 0
        return self.count if self.spacing <= 0 else min(self.count, -int((self.start - time) // self.spacing))

    def without_first(self, count: int) -> "Slots":
        return replace(self, start=self.start + count * self.spacing, count=self.count - count)

    def first(self, count: int) -> "Slots":
        return replace(self, count=count)

    def later(self, seconds: float) -> "Slots":
        """The same on another clock."""
        return replace(self, start=self.start + seconds)


@dataclass(frozen=True, slots=True)
class Learned:
    """What refusals have taught of an account.  None: nothing yet."""

    requests_per_s: float | None = None
    concurrency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A worker's word on one account."""

    declared: Limits
    """By its endpoints; the smallest where they disagree."""
    cut: int = 0
    """Of its last lease."""
    in_flight: int = 0
    waiting: int = 0
    wanted: int = 0
    """Sending times, beside those that it holds."""
    held_until: float | None = None
    """The last sending time that it holds."""
    returned: tuple[Slots, ...] = ()
    """Sending times that it does not need after all."""
    tokens_each: float = 0.0
    """What a try takes on average, prompt and completion."""
    crowded: bool = False
    """Whether a try had to wait because too many were in flight."""
    paced: bool = False
    """Whether a try had to wait for its sending time."""
    learned: Learned = Learned()
    """What its last lease said, for a keeper that has forgotten."""

    # Since the last report:
    started: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    refused_anew: int = 0
    """Those of the refused that were started under that cut (see :class:`Lease`)."""
    answered_anew: int = 0
    tokens: int = 0
    """Taken by answered tries."""
    debt: float = 0.0
    """Tokens taken beyond those that were set aside; negative: less."""
    retry_after_s: float | None = None
    """The longest pause that a refusal asked for, from now on."""
    told: Limits | None = None
    """By the headers of the last response that had any."""
    problem: str | None = None
    """The last refusal or failure, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a worker may do with one account until it renews, or LEASE_S have passed."""

    cut: int
    """How often the account was cut; a refusal of a try that was started under an earlier cut is no news."""
    concurrency: int | None
    """Tries in flight; None: any number."""
    paced: bool
    """Whether tries need sending times."""
    slots: Slots | None = None
    """Sending times, beside those that the worker still holds."""
    hold_until: float = 0.0
    """No try starts before; sending times before it are void."""
    learned: Learned = Learned()


class KeeperAwayError(Exception):
    """The keeper does not answer now; it may be starting again."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """The keeper's answer to all reports of a worker."""

    keeper: str
    """Another one than before: the keeper was restarted, and what it had lent is void."""
    now: float
    leases: Mapping[Account, Lease] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """How one account stands, for people, alarms and metrics."""

    name: str
    calls_per_s: float
    """Over the last ten seconds, as are the next three."""
    tokens_per_s: float
    refused_share: float
    """Of the tries that ended."""
    failed_share: float
    requests_per_minute: float | None
    """The bound in force; None: none."""
    tokens_per_minute: float | None
    concurrency: int | None
    source: Source
    """Of the bound on requests, or else on what is in flight."""
    in_flight: int
    waiting: int
    paused_s: float
    """How long the provider, or our caution after a refusal, still lets nothing start."""
    answered: int
    """Since the keeper's start."""
    refused: int
    failed: int
    success_age_s: float | None
    """Since the last answer; None: there was none."""
    try_age_s: float | None
    """Since a try last started or ended."""
    problem: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How accounts stand."""

    accounts: tuple[AccountStatus, ...] = ()
