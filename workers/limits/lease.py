"""What a worker and the keeper tell one another about an account: plain values.

A worker reports what it did since it last reported and what it needs; the keeper answers with a lease.  All times are
on the keeper's clock, with which workers compare theirs at every renewal.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.config.endpoint import Limits
from workers.limits.account import Account

LEASE_S = 5.0
"""A worker that has not renewed for so long is gone, and what it was lent comes back."""
HORIZON_S = 1.0
"""How far ahead the line is lent."""
_FORGETFUL = 0.05
"""Weight of a new try in the means of what tries take."""
_SHRINKING = 0.999
"""Of the largest try, with every other one."""

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
class Rates:
    """What is allowed a second; None: anything."""

    requests: float | None = None
    tokens: float | None = None

    def seconds(self, tokens: float, tries: int = 1) -> tuple[float, float]:
        """How long tries of so many tokens together take, by the one limit and by the other."""
        return tries / self.requests if self.requests else 0.0, tokens / self.tokens if self.tokens else 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of the line, for one worker alone."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def after(self, time: float) -> "Stretch":
        """What of it lies after *time*, if anything does."""
        return Stretch(min(max(self.start, time), self.end), self.end)

    def later(self, seconds: float) -> "Stretch":
        """The same on another clock."""
        return Stretch(self.start + seconds, self.end + seconds)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of the tries that a worker saw answered lately."""

    mean: float = 0.0
    """0: there were none."""
    largest: float = 0.0
    bias: float = 0.0
    """By how much more they took than was guessed."""
    off: float = 0.0
    """By how much they were guessed wrong beside that: the root of the mean square."""

    def seen(self, tokens: float, guess: float) -> "Sizes":
        """After one more."""
        if not self.mean:
            return Sizes(tokens, tokens, tokens - guess)
        off = tokens - guess - self.bias
        return Sizes(
            self.mean + _FORGETFUL * (tokens - self.mean),
            max(tokens, self.largest * _SHRINKING),
            self.bias + _FORGETFUL * off,
            math.sqrt(self.off**2 + _FORGETFUL * (off**2 - self.off**2)),
        )


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
    wanted_s: float = 0.0
    """Of the line, beside what it holds."""
    pieces: tuple[float, ...] = ()
    """Of what it wants: for the next try, for the next two, and so on for some; in between it would be of no use."""
    at_once: bool = False
    """Whether the next try waits for its piece."""
    held_until: float | None = None
    """The end of what it holds of the line."""
    returned: tuple[Stretch, ...] = ()
    """What it does not need after all."""
    sizes: Sizes = Sizes()
    crowded: bool = False
    """Whether a try had to wait because too many were in flight."""
    paced: bool = False
    """Whether a try had to wait for its time on the line."""
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
    rates: Rates = Rates()
    """At which tries use up the line."""
    only: int | None = None
    """So many tries may start and no more, whatever the line says; None: as it says."""
    stretch: Stretch | None = None
    """Of the line, beside what the worker still holds."""
    hold_until: float = 0.0
    """No try starts before; what was lent of the time before is void."""
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
