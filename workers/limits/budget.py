"""One account in the keeper: who holds what of it, what may be given next, and how it stands."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pipeline.config.endpoint import Limits
from workers.limits.account import Account
from workers.limits.headers import Told, smallest
from workers.limits.learner import Learner, Observation
from workers.limits.lease import (
    HORIZON_S,
    LEASE_S,
    AccountStatus,
    Holder,
    Lease,
    Rates,
    Report,
    Source,
    Stretch,
)
from workers.limits.line import Line
from workers.limits.recent import Recent
from workers.limits.shares import fair_shares, shares_in_groups

USED = 0.99
"""Share of a limit that is used.  The rest is for the way to the provider, which is not always equally long."""
_LEAST_USED = 0.75
"""Of a limit of tokens, however large and uncertain tries are."""
_SIGMAS = 3.0
"""So far from the mean a sum of wrong guesses is taken to lie at the most."""
_WINDOW_S, _WINDOW_TRIES, _MINUTE_S = 10.0, 30, 60.0
"""A provider's window is taken to be so long at least, and so many of the largest tries; no longer than a minute."""
_GRAIN_S = 0.001
"""The line is divided between workers to the millisecond."""
_WANTS_S = 1.0
"""Who has not asked again for so long wants nothing of the line any more."""
_TURN_S = 2.0
"""With fewer calls in flight than there are workers, each has one so long before another has it."""
_METER_S = 10.0


@dataclass(slots=True)
class _Seat:
    """One worker."""

    heard: float
    last: Report
    told: int = 0
    """Tries in flight that its last lease allows."""
    lent: int = 0
    """Tries that it may have in flight, until it has shown that it read its last lease."""
    since: float = 0.0
    """When it was last given its first try, or lost its last one."""
    stretches: list[Stretch] = field(default_factory=list)

    def held_s(self, now: float) -> float:
        """Of the line, still to come."""
        self.stretches = [stretch for stretch in self.stretches if stretch.end > now]
        return sum(stretch.after(now).seconds for stretch in self.stretches)


@dataclass(slots=True)
class _RunPart:
    """What one run did with the account."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    succeeded_at: float | None = None
    tried_at: float | None = None
    problem: str | None = None


class AccountBudget:
    """Not thread-safe, and never waits.

    Args:
        now: on the keeper's clock.
        declared: by the first worker that came; it decides whether the number in flight has to be found.
    """

    def __init__(self, account: Account, declared: Limits, now: float) -> None:
        self.account = account
        self._seats: dict[Holder, _Seat] = {}
        self._line = Line()
        self._learner = Learner(now, slow_start=declared == Limits())
        self._told = Told()
        self._recent = Recent(_METER_S)
        self._runs: dict[str, _RunPart] = {}
        self._born = now

    def renew(self, holder: Holder, report: Report, now: float, *, settling_until: float = -math.inf) -> Lease:
        """Takes in a report and lends anew.  Until *settling_until* nothing more than what is in use is lent."""
        self._line.not_before(settling_until)  # what others hold of it may not have been told
        self._forget_lost(now)
        seat = self._seats.get(holder)
        if seat is None:
            seat = self._seats[holder] = _Seat(now, report, lent=report.in_flight, since=now)
        seat.heard, seat.last, seat.lent = now, report, max(seat.told, report.in_flight)
        self._take_in(holder, report, now)
        if now < settling_until:
            return self._lease(min(seat.lent, report.in_flight) if self._most() is not None else None)
        concurrency = self._divide(holder, seat, now)
        if self._learner.probing:
            only = self._probe(report, now)
            return self._lease(concurrency if concurrency is None else max(concurrency, report.in_flight + only), only)
        return self._lease(concurrency, stretch=self._lend(holder, seat, report, now))

    def leave(self, holder: Holder, report: Report, now: float) -> None:
        """Takes in a last report."""
        self._take_in(holder, report, now)
        self._seats.pop(holder, None)

    def status(self, now: float, run: str | None = None) -> AccountStatus | None:
        """How it stands; with *run*: its own part of what was done, None where it had none."""
        if run is not None and run not in self._runs:
            return None
        self._forget_lost(now)
        parts = list(self._runs.values()) if run is None else [self._runs[run]]
        seats = [seat for holder, seat in self._seats.items() if run is None or holder.run == run]
        # Once all are gone nobody reports what goes on; nothing does.
        calls, tokens, ended, refused, failed = (self._recent.sums(now) if self._seats else ()) or (0.0,) * 5
        seconds = min(_METER_S, max(now - self._born, 1.0))
        rates, most = self._bounds(), self._most()
        newest = max(parts, key=lambda part: part.tried_at or -math.inf, default=_RunPart())
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
            in_flight=sum(seat.last.in_flight for seat in seats),
            waiting=sum(seat.last.waiting for seat in seats),
            paused_s=max(0.0, self._learner.hold_until - now),
            answered=sum(part.answered for part in parts),
            refused=sum(part.refused for part in parts),
            failed=sum(part.failed for part in parts),
            success_age_s=_age(now, (part.succeeded_at for part in parts)),
            try_age_s=_age(now, (part.tried_at for part in parts)),
            problem=newest.problem,
        )

    # What is known

    @property
    def _declared(self) -> Limits:
        return smallest(seat.last.declared for seat in self._seats.values())

    def _bounds(self, used: float = 1.0) -> Rates:
        """Declared or told, of which a share is used, or learned."""
        declared, told = self._declared, self._told.limits
        requests = declared.requests_per_minute or told.requests_per_minute
        tokens = declared.tokens_per_minute or told.tokens_per_minute
        known = None if requests is None else requests / 60 * used
        bounds = [bound for bound in (known, self._learner.rate) if bound is not None]
        return Rates(min(bounds, default=None), None if tokens is None else tokens / 60)

    def _rates(self) -> Rates:
        """At which tries use up the line."""
        rates = self._bounds(USED)
        if rates.tokens is None:
            return rates
        return replace(rates, tokens=rates.tokens * self._used_of_tokens(rates.tokens))

    def _used_of_tokens(self, tokens_per_s: float) -> float:
        """Share of a limit of tokens that is used.

        What a try takes is known only when it has ended, and no part of one can be sent.  So a window may hold the
        largest try beside its share, and what was guessed wrong of those in flight.
        """
        reports = [seat.last for seat in self._seats.values() if seat.last.sizes.mean]
        if not reports:
            return USED
        mean = max(report.sizes.mean for report in reports)
        largest = max(report.sizes.largest for report in reports)
        off = max(report.sizes.off for report in reports)
        window = tokens_per_s * min(max(_WINDOW_S, _WINDOW_TRIES * largest / tokens_per_s), _MINUTE_S)
        unknown = min(sum(report.in_flight + 1 for report in reports), window / mean)
        spread = largest + _SIGMAS * off * math.sqrt(2 * unknown)
        return max(USED - spread / window, _LEAST_USED)

    def _most(self) -> int | None:
        """Tries in flight."""
        bounds = [bound for bound in (self._declared.concurrency, self._learner.window) if bound is not None]
        return int(min(bounds)) if bounds else None

    def _source(self, rates: Rates, most: int | None) -> Source:
        if self._learner.rate is not None and rates.requests == self._learner.rate:
            return "learned"
        declared = self._declared
        if declared.requests_per_minute or declared.tokens_per_minute:
            return "declared"
        if rates.requests or rates.tokens:
            return "told"
        if most is None:
            return "free"
        return "declared" if most == declared.concurrency else "learned"

    # What is heard

    def _forget_lost(self, now: float) -> None:
        for holder, seat in list(self._seats.items()):
            if now - seat.heard > LEASE_S:
                del self._seats[holder]

    def _take_in(self, holder: Holder, report: Report, now: float) -> None:
        ended = report.answered + report.refused + report.failed
        self._recent.add(now, report.started, report.tokens, ended, report.refused, report.failed)
        part = self._runs.setdefault(holder.run, _RunPart())
        part.answered, part.refused = part.answered + report.answered, part.refused + report.refused
        part.failed += report.failed
        part.problem = report.problem or part.problem
        if report.answered:
            part.succeeded_at = now
        if ended or report.started:
            part.tried_at = now
        if report.told is not None:
            self._told.note(report.told, now)
        self._learn(report, now)
        if report.returned:
            self._take_back(self._seats.get(holder), report.returned)

    def _take_back(self, seat: _Seat | None, returned: Sequence[Stretch]) -> None:
        """The last ones that a worker holds."""
        for stretch in returned:
            self._line.give_back(stretch)
        if seat is not None:
            first = min(stretch.start for stretch in returned)
            kept = (stretch for stretch in seat.stretches if stretch.start < first)
            seat.stretches = [Stretch(stretch.start, min(stretch.end, first)) for stretch in kept]

    def _learn(self, report: Report, now: float) -> None:
        held_until = self._learner.hold_until
        anew = report.cut == self._learner.cut
        self._learner.observe(
            Observation(
                started=report.started,
                answered=report.answered,
                failed=report.failed,
                refused=report.refused,
                refused_anew=report.refused_anew if anew else 0,
                answered_anew=report.answered_anew if anew else 0,
                in_flight=sum(seat.last.in_flight for seat in self._seats.values()),
                crowded=report.crowded,
                paced=report.paced,
                retry_after_s=report.retry_after_s,
            ),
            now,
        )
        if self._learner.hold_until > max(held_until, now):
            self._line.clear(self._learner.hold_until)
            for seat in self._seats.values():
                seat.stretches.clear()

    def recall(self, report: Report) -> None:
        """What a keeper that was restarted can learn from one that its predecessor had lent to."""
        self._learner.adopt(report.learned)
        if report.held_until is not None:
            self._line.not_before(report.held_until)

    # What is lent

    def _lease(self, concurrency: int | None, only: int | None = None, stretch: Stretch | None = None) -> Lease:
        learner = self._learner
        return Lease(
            cut=learner.cut,
            concurrency=concurrency,
            rates=self._rates(),
            only=only,
            stretch=stretch,
            hold_until=learner.hold_until,
            learned=learner.learned,
        )

    def _divide(self, holder: Holder, seat: _Seat, now: float) -> int | None:
        """How many tries a worker may have in flight."""
        most = self._most()
        if most is None:
            seat.told = seat.lent = seat.last.in_flight
            return None
        order = sorted(self._seats, key=lambda other: self._turn(self._seats[other], now))
        wants = {other: self._seats[other].last.in_flight + self._seats[other].last.waiting for other in order}
        weights = {other.run: other.weight for other in order}
        shares = shares_in_groups(most, wants, {other: other.run for other in order}, weights, order)
        # Half of what nobody wants is spread, to be at hand; the rest is for newcomers.
        spare = (most - sum(shares.values())) // (2 * len(order))
        others = sum(self._seats[other].lent for other in order if other != holder)
        told = max(0, min(shares[holder] + spare, most - others))
        if (told == 0) != (seat.told == 0):
            seat.since = now
        seat.told, seat.lent = told, max(seat.lent, told)
        return told

    def _turn(self, seat: _Seat, now: float) -> tuple[int, float]:
        """Who comes first where there is not enough for everyone: who has just begun, then who waited longest."""
        if seat.told and now - seat.since < _TURN_S:
            return (0, seat.since)
        return (2 if seat.told else 1, seat.since)

    def _probe(self, report: Report, now: float) -> int:
        """How many tries may start to find out whether the provider lets us in: one, of one worker."""
        if not report.waiting or now < self._learner.hold_until or not self._learner.may_probe(now):
            return 0
        self._learner.probe_sent(now)
        return 1

    def _lend(self, holder: Holder, seat: _Seat, report: Report, now: float) -> Stretch | None:
        """A worker's next piece of the line: for at least one try, and for whole ones."""
        room_s = self._room_s(holder, seat, now)
        if now < self._learner.hold_until or room_s <= 0 or not report.pieces:
            return None
        if seat.stretches and 2 * room_s < report.pieces[0]:
            return None
        at_once = report.pieces[0] if report.at_once else 0.0
        stretch = self._line.lend(_whole(report.pieces, room_s), now, now + HORIZON_S, at_once)
        if stretch is not None:
            seat.stretches.append(stretch)
        return stretch

    def _room_s(self, holder: Holder, seat: _Seat, now: float) -> float:
        """How much of the line a worker may hold beside what it has.

        Each run that wants some may hold its part of the next second, by weight; so does each worker of it, evenly.
        """
        wanting = {
            other: each.last.wanted_s
            for other, each in self._seats.items()
            if each.last.wanted_s and now - each.heard < _WANTS_S
        }
        if holder not in wanting:
            return 0.0
        weights = {other.run: other.weight for other in wanting}
        for_run_s = HORIZON_S * holder.weight / sum(weights.values())
        held = {other: each.held_s(now) for other, each in self._seats.items() if other.run == holder.run}
        wants = {other: math.ceil((held[other] + wanting[other]) / _GRAIN_S) for other in held if other in wanting}
        mine_s = fair_shares(round(for_run_s / _GRAIN_S), wants)[holder] * _GRAIN_S
        return min(seat.last.wanted_s, mine_s - held[holder], for_run_s - sum(held.values()))


def _whole(pieces: Sequence[float], room_s: float) -> float:
    """The largest piece for which there is room, or the smallest one; beyond the last of them, tries of mean size."""
    fitting = [piece for piece in pieces if piece <= room_s + _GRAIN_S]
    if len(fitting) < len(pieces):
        return fitting[-1] if fitting else pieces[0]
    each = pieces[-1] / len(pieces)
    return each * max(len(pieces), int(room_s / each + _GRAIN_S))


def _age(now: float, times: Iterable[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return now - max(known) if known else None
