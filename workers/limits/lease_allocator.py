"""Divides the limits of one account between workers, in the coordinator: grants leases, and learns from reports.

Workers wait in ``muses_eval.workers.limits.rate_limiter``; here nothing waits.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.workers.limits.account import Account
from muses_eval.workers.limits.fair_share import fair_shares, fair_shares_by_group
from muses_eval.workers.limits.limit_headers import HeaderLimits, smallest_limits
from muses_eval.workers.limits.limit_learner import AccountActivity, LimitLearner
from muses_eval.workers.limits.protocol import (
    HORIZON_S,
    LEASE_S,
    AccountReport,
    AccountStatus,
    Lease,
    LeaseHolder,
    Rates,
    Source,
    TimeSlot,
)
from muses_eval.workers.limits.sliding_sum import SlidingSum
from muses_eval.workers.limits.timeline import Timeline
from muses_eval.workers.limits.token_reserve import USED_SHARE, used_share_of_tokens

_GRAIN_S = 0.001
"""The timeline is divided between workers to the millisecond."""
_WANTS_S = 1.0
"""Seconds without a report after which a worker is taken to want no more time slots."""
_TURN_S = 2.0
"""Seconds that a worker keeps a call in flight before another gets it, when there are fewer calls than workers."""
_METER_S = 10.0


@dataclass(slots=True)
class _WorkerState:
    """The last report of one worker, and its leases."""

    reported_at: float
    report: AccountReport
    allowed: int = 0
    """Number of attempts in flight that its last lease allows."""
    reserved: int = 0
    """Number of attempts that may be in flight until it has confirmed its last lease."""
    since: float = 0.0
    """Time at which it last got its first attempt in flight, or lost its last one."""
    slots: list[TimeSlot] = field(default_factory=list)

    def held_s(self, now: float) -> float:
        """Returns the seconds of its slots that lie in the future."""
        self.slots = [slot for slot in self.slots if slot.end > now]
        return sum(slot.after(now).seconds for slot in self.slots)


@dataclass(slots=True)
class _RunTotals:
    """One run's totals on the account."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    succeeded_at: float | None = None
    tried_at: float | None = None
    problem: str | None = None


class LeaseAllocator:
    """The limits of one account and their leases.  Not thread-safe, and never waits.

    Args:
        account: the account.
        declared: the limits that the first worker declares; without any, the number in flight is learned.
        now: on the coordinator's clock.
    """

    def __init__(self, account: Account, declared: Limits, now: float) -> None:
        self.account = account
        self._workers: dict[LeaseHolder, _WorkerState] = {}
        self._timeline = Timeline()
        self._learner = LimitLearner(now, slow_start=declared == Limits())
        self._header_limits = HeaderLimits()
        self._recent = SlidingSum(_METER_S)
        self._runs: dict[str, _RunTotals] = {}
        self._born = now

    def renew(
        self, holder: LeaseHolder, report: AccountReport, now: float, *, recovering_until: float = -math.inf
    ) -> Lease:
        """Takes in a report and returns a lease; until *recovering_until* it grants only what is already in use."""
        self._timeline.not_before(recovering_until)  # slots of workers that have not reported yet are unknown
        self._forget_lost(now)
        worker = self._workers.get(holder)
        if worker is None:
            worker = self._workers[holder] = _WorkerState(now, report, reserved=report.in_flight, since=now)
        worker.reported_at, worker.report, worker.reserved = now, report, max(worker.allowed, report.in_flight)
        self._take_in(holder, report, now)
        if now < recovering_until:
            return self._lease(min(worker.reserved, report.in_flight) if self._most() is not None else None)
        concurrency = self._divide(holder, worker, now)
        if self._learner.probing:
            max_starts = self._probe(report, now)
            return self._lease(
                concurrency if concurrency is None else max(concurrency, report.in_flight + max_starts), max_starts
            )
        return self._lease(concurrency, slot=self._grant_slot(holder, worker, report, now))

    def leave(self, holder: LeaseHolder, report: AccountReport, now: float) -> None:
        """Takes in a worker's last report and frees what it held."""
        self._take_in(holder, report, now)
        self._workers.pop(holder, None)

    def status(self, now: float, run: str | None = None) -> AccountStatus | None:
        """Returns the account's state; with *run*, the run's own part, or None when the run has not used it."""
        if run is not None and run not in self._runs:
            return None
        self._forget_lost(now)
        parts = list(self._runs.values()) if run is None else [self._runs[run]]
        workers = [worker for holder, worker in self._workers.items() if run is None or holder.run == run]
        # Without workers nothing is in flight, and old rates would be shown.
        calls, tokens, ended, refused, failed = (self._recent.sums(now) if self._workers else ()) or (0.0,) * 5
        seconds = min(_METER_S, max(now - self._born, 1.0))
        rates, most = self._bounds(), self._most()
        newest = max(parts, key=lambda part: part.tried_at or -math.inf, default=_RunTotals())
        return AccountStatus(
            name=self.account.name,
            calls_per_s=calls / seconds,
            tokens_per_s=tokens / seconds,
            refused_share=refused / ended if ended else 0.0,
            failed_share=failed / ended if ended else 0.0,
            requests_per_minute=None if rates.requests is None else rates.requests * 60,
            tokens_per_minute=None if rates.tokens is None else rates.tokens * 60,
            concurrency=most,
            source=self._source(rates, most),
            in_flight=sum(worker.report.in_flight for worker in workers),
            waiting=sum(worker.report.waiting for worker in workers),
            paused_s=max(0.0, self._learner.hold_until - now),
            answered=sum(part.answered for part in parts),
            refused=sum(part.refused for part in parts),
            failed=sum(part.failed for part in parts),
            success_age_s=_age(now, (part.succeeded_at for part in parts)),
            try_age_s=_age(now, (part.tried_at for part in parts)),
            problem=newest.problem,
        )

    # Bounds

    @property
    def _declared(self) -> Limits:
        return smallest_limits(worker.report.declared for worker in self._workers.values())

    def _bounds(self, used: float = 1.0) -> Rates:
        """Returns a share of the declared bounds, or else of those in headers; learned bounds where they are lower."""
        declared, reported = self._declared, self._header_limits.limits
        requests = declared.requests_per_minute or reported.requests_per_minute
        tokens = declared.tokens_per_minute or reported.tokens_per_minute
        known = None if requests is None else requests / 60 * used
        bounds = [bound for bound in (known, self._learner.rate) if bound is not None]
        return Rates(min(bounds, default=None), None if tokens is None else tokens / 60)

    def _rates(self) -> Rates:
        """Returns the rates at which attempts use the timeline."""
        rates = self._bounds(USED_SHARE)
        if rates.tokens is None:
            return rates
        return replace(rates, tokens=rates.tokens * used_share_of_tokens(rates.tokens, self._reports()))

    def _reports(self) -> list[AccountReport]:
        return [worker.report for worker in self._workers.values()]

    def _most(self) -> int | None:
        """Returns the bound on attempts in flight; None when there is none."""
        bounds = [bound for bound in (self._declared.concurrency, self._learner.window) if bound is not None]
        return int(min(bounds)) if bounds else None

    def _source(self, rates: Rates, most: int | None) -> Source:
        if self._learner.rate is not None and rates.requests == self._learner.rate:
            return "learned"
        declared = self._declared
        if declared.requests_per_minute or declared.tokens_per_minute:
            return "declared"
        if rates.requests or rates.tokens:
            return "reported"
        if most is None:
            return "free"
        return "declared" if most == declared.concurrency else "learned"

    # Reports

    def _forget_lost(self, now: float) -> None:
        for holder, worker in list(self._workers.items()):
            if now - worker.reported_at > LEASE_S:
                del self._workers[holder]

    def _take_in(self, holder: LeaseHolder, report: AccountReport, now: float) -> None:
        ended = report.answered + report.refused + report.failed
        self._recent.add(now, report.started, report.tokens, ended, report.refused, report.failed)
        part = self._runs.setdefault(holder.run, _RunTotals())
        part.answered, part.refused = part.answered + report.answered, part.refused + report.refused
        part.failed += report.failed
        part.problem = report.problem or part.problem
        if report.answered:
            part.succeeded_at = now
        if ended or report.started:
            part.tried_at = now
        if report.header_limits is not None:
            self._header_limits.note(report.header_limits, now)
        self._learn(report, now)
        if report.returned:
            self._take_back(self._workers.get(holder), report.returned)

    def _take_back(self, worker: _WorkerState | None, returned: Sequence[TimeSlot]) -> None:
        """Takes back the last slots of a worker."""
        for slot in returned:
            self._timeline.give_back(slot)
        if worker is not None:
            first = min(slot.start for slot in returned)
            kept = (slot for slot in worker.slots if slot.start < first)
            worker.slots = [TimeSlot(slot.start, min(slot.end, first)) for slot in kept]

    def _learn(self, report: AccountReport, now: float) -> None:
        held_until = self._learner.hold_until
        after_cut = report.cut == self._learner.cut
        self._learner.observe(
            AccountActivity(
                started=report.started,
                answered=report.answered,
                failed=report.failed,
                refused=report.refused,
                refused_after_cut=report.refused_after_cut if after_cut else 0,
                answered_after_cut=report.answered_after_cut if after_cut else 0,
                in_flight=sum(worker.report.in_flight for worker in self._workers.values()),
                crowded=report.crowded,
                paced=report.paced,
                retry_after_s=report.retry_after_s,
            ),
            now,
        )
        if self._learner.hold_until > max(held_until, now):
            self._timeline.clear(self._learner.hold_until)
            for worker in self._workers.values():
                worker.slots.clear()

    def recall(self, report: AccountReport) -> None:
        """Adopts what a worker knows from its leases, after a restart of the coordinator."""
        self._learner.adopt(report.learned)
        if report.held_until is not None:
            self._timeline.not_before(report.held_until)

    # Leases

    def _lease(self, concurrency: int | None, max_starts: int | None = None, slot: TimeSlot | None = None) -> Lease:
        learner = self._learner
        return Lease(
            cut=learner.cut,
            concurrency=concurrency,
            rates=self._rates(),
            max_starts=max_starts,
            slot=slot,
            hold_until=learner.hold_until,
            learned=learner.learned,
        )

    def _divide(self, holder: LeaseHolder, worker: _WorkerState, now: float) -> int | None:
        """Returns how many attempts a worker may have in flight."""
        most = self._most()
        if most is None:
            worker.allowed = worker.reserved = worker.report.in_flight
            return None
        order = sorted(self._workers, key=lambda other: self._turn(self._workers[other], now))
        wants = {other: self._workers[other].report.in_flight + self._workers[other].report.waiting for other in order}
        weights = {other.run: other.weight for other in order}
        shares = fair_shares_by_group(most, wants, {other: other.run for other in order}, weights, order)
        # Half of the spare attempts is spread over the workers, to be at hand; the rest is for new workers.
        spare = (most - sum(shares.values())) // (2 * len(order))
        others = sum(self._workers[other].reserved for other in order if other != holder)
        allowed = max(0, min(shares[holder] + spare, most - others))
        if (allowed == 0) != (worker.allowed == 0):
            worker.since = now
        worker.allowed, worker.reserved = allowed, max(worker.reserved, allowed)
        return allowed

    def _turn(self, worker: _WorkerState, now: float) -> tuple[int, float]:
        """Returns the sort key for scarce attempts: first workers whose turn has just begun, then by waiting time."""
        if worker.allowed and now - worker.since < _TURN_S:
            return (0, worker.since)
        return (2 if worker.allowed else 1, worker.since)

    def _probe(self, report: AccountReport, now: float) -> int:
        """Returns how many probes a worker may start: one at a time, of all workers."""
        if not report.waiting or now < self._learner.hold_until or not self._learner.may_probe(now):
            return 0
        self._learner.probe_sent(now)
        return 1

    def _grant_slot(
        self, holder: LeaseHolder, worker: _WorkerState, report: AccountReport, now: float
    ) -> TimeSlot | None:
        """Grants a worker's next slot: for at least one attempt, and for whole attempts."""
        room_s = self._room_s(holder, worker, now)
        if now < self._learner.hold_until or room_s <= 0 or not report.slot_sizes_s:
            return None
        if worker.slots and 2 * room_s < report.slot_sizes_s[0]:
            return None
        backdated_s = report.slot_sizes_s[0] if report.urgent else 0.0
        slot = self._timeline.grant(_whole(report.slot_sizes_s, room_s), now, now + HORIZON_S, backdated_s)
        if slot is not None:
            worker.slots.append(slot)
        return slot

    def _room_s(self, holder: LeaseHolder, worker: _WorkerState, now: float) -> float:
        """Returns the seconds of slots that a worker may hold beside those it has.

        Each run that wants slots may hold its share of the next second, by weight; its workers share that evenly.
        """
        wanting = {
            other: each.report.wanted_s
            for other, each in self._workers.items()
            if each.report.wanted_s and now - each.reported_at < _WANTS_S
        }
        if holder not in wanting:
            return 0.0
        weights = {other.run: other.weight for other in wanting}
        for_run_s = HORIZON_S * holder.weight / sum(weights.values())
        held = {other: each.held_s(now) for other, each in self._workers.items() if other.run == holder.run}
        wants = {other: math.ceil((held[other] + wanting[other]) / _GRAIN_S) for other in held if other in wanting}
        mine_s = fair_shares(round(for_run_s / _GRAIN_S), wants)[holder] * _GRAIN_S
        return min(worker.report.wanted_s, mine_s - held[holder], for_run_s - sum(held.values()))


def _whole(sizes_s: Sequence[float], room_s: float) -> float:
    """Returns the largest size that fits, or the smallest; beyond the last size, whole attempts of mean size."""
    fitting = [size for size in sizes_s if size <= room_s + _GRAIN_S]
    if len(fitting) < len(sizes_s):
        return fitting[-1] if fitting else sizes_s[0]
    each = sizes_s[-1] / len(sizes_s)
    return each * max(len(sizes_s), int(room_s / each + _GRAIN_S))


def _age(now: float, times: Iterable[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return now - max(known) if known else None
