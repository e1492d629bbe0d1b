"""Estimates the time left of a run in progress from the shards that it has played; a pure function without a clock.

Cells differ in speed by factors of ten and more, so each has its own: a pending shard takes as long as the last shards
of its cell took.  A cell without a stored shard gets the product of a factor of its model and a factor of its family,
fitted to the cells that have some, on top of what is typical of the family.  The shards of a cell differ as well, and a
run ends with its slowest: their durations are spread over the quantiles of a log-normal distribution, and that of a
shard in flight lies above its age.  Then the queue of the executor is replayed: places that become free go to the model
that holds the fewest (:class:`muses_eval.workers.play.fair_queue.FairQueue`).  A model whose account is at its limit
plays no faster with more places, so it gets no more than it has.
"""

import heapq
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from muses_eval.pipeline.plan.usage_assumptions import MID, typical_episode

_MOST_BLOCKS = 500
"""Maximum number of simulated shards; more pending shards are simulated in blocks of several."""
_TYPICAL_SPREAD, _TYPICAL_WEIGHT = 0.25, 3
"""Assumed standard deviation of the logarithms of durations within a cell, and its weight in degrees of freedom."""
_LEAST_SPREAD = 0.02
_FITTED_WEIGHT = 1.0
"""Number of stored shards that the fit over all cells counts as."""
_HIGHEST_SHARE = 0.999
_FIT_ROUNDS = 10
_PRINCIPALS = 3
"""Number of principals of a typical scenario."""


@dataclass(frozen=True, slots=True)
class CellPace:
    """Progress and speed of one cell."""

    group: str
    """Cells of one group, such as a model of a run, share its turns in the queue, in their order."""
    family: str
    account: str | None
    """Provider account that the cell calls; None when it calls none."""
    pending: int
    """Number of shards that have not started."""
    recent_s: tuple[float, ...]
    """Durations of the last stored shards."""
    ages_s: tuple[float, ...]
    """Seconds since the start of each shard in flight."""
    typical_s: float = 1.0
    """Typical duration of an episode; only its ratio to that of other cells matters."""


def typical_episode_s(family: str) -> float:
    """Returns the seconds of a typical episode of a family."""
    typical = typical_episode(family)
    reply_tokens = typical.reply_tokens + _PRINCIPALS * typical.reply_tokens_per_user
    return typical.turns[MID.turns] * (MID.time_to_first_token_s + reply_tokens / MID.tokens_per_second)


def estimate_time_left(cells: Sequence[CellPace], places: int, account_places: Mapping[str, int]) -> float | None:
    """Returns the seconds until the last shard is stored; None while no shard is stored.

    Args:
        cells: all cells of the run, in the order in which they are submitted.
        places: number of shards that are played at the same time.
        account_places: account -> number of places that suffice to use up its limit; accounts below their limit are
            missing.
    """
    if not any(cell.pending or cell.ages_s for cell in cells):
        return 0.0
    factors = _speed_factors(cells)
    if factors is None:
        return None
    spread = _spread(cells)
    durations = [
        _Durations.of(cell, factor * cell.typical_s, spread) for cell, factor in zip(cells, factors, strict=True)
    ]
    return _replay(cells, durations, places, account_places)


@dataclass(frozen=True, slots=True)
class _Durations:
    """Distribution of the durations of a cell's shards: log-normal."""

    median_s: float
    spread: float

    @classmethod
    def of(cls, cell: CellPace, fitted_s: float, spread: float) -> "_Durations":
        """Returns the distribution that stored shards, shards in flight and the fit over all cells make likely.

        The age of a shard in flight is a lower bound of its duration.  Without these, the shards that end first would
        make a cell look fast.  The median is that of maximum likelihood (expectation-maximization).
        """
        known = [_log(each) for each in cell.recent_s]
        ages = [_log(each) for each in cell.ages_s]
        median = fitted = _log(fitted_s)
        for _ in range(_FIT_ROUNDS):
            unseen = (median + spread * _mean_above((age - median) / spread) for age in ages)
            weighted = _FITTED_WEIGHT * fitted + math.fsum(known) + math.fsum(unseen)
            median = weighted / (_FITTED_WEIGHT + len(known) + len(ages))
        return cls(math.exp(median), spread)

    def quantile(self, share: float) -> float:
        """Returns the seconds within which this share of the shards ends."""
        return self.median_s * math.exp(self.spread * NormalDist().inv_cdf(share))

    def rest(self, age_s: float, share: float) -> float:
        """Returns the seconds within which this share of the shards of this age ends."""
        passed = NormalDist().cdf((_log(age_s) - math.log(self.median_s)) / self.spread)
        return max(0.0, self.quantile(min(passed + (1 - passed) * share, _HIGHEST_SHARE)) - age_s)


def _log(seconds: float) -> float:
    return math.log(max(seconds, 1e-3))


def _mean_above(bound: float) -> float:
    """Returns the mean of a standard normal variable above *bound*."""
    above = NormalDist().cdf(-bound)
    return NormalDist().pdf(bound) / above if above > 1e-9 else bound


def _spread(cells: Sequence[CellPace]) -> float:
    """Returns the standard deviation of the logarithm of durations within cells."""
    squares, freedom = _TYPICAL_WEIGHT * _TYPICAL_SPREAD**2, float(_TYPICAL_WEIGHT)
    for cell in cells:
        if len(cell.recent_s) > 1:
            logs = [_log(each) for each in cell.recent_s]
            squares += sum((each - fmean(logs)) ** 2 for each in logs)
            freedom += len(logs) - 1
    return max(math.sqrt(squares / freedom), _LEAST_SPREAD)


def _shares(count: int) -> list[float]:
    """Returns the middles of *count* equal parts of 0 to 1, in an order in which large and small ones alternate."""
    return [(number * 0.6180339887 + 0.5) % 1 for number in range(count)] if count > 1 else [0.5] * count


def _speed_factors(cells: Sequence[CellPace]) -> list[float] | None:
    """Returns the duration of a shard of each cell in units of its typical duration; None without any stored shard.

    The logarithms are a sum over group and family, fitted by least squares with alternating means.
    """
    known = [(cell, _log(fmean(cell.recent_s)) - math.log(cell.typical_s)) for cell in cells if cell.recent_s]
    if not known:
        return None
    overall = fmean(value for _, value in known)
    groups, families = dict.fromkeys((cell.group for cell, _ in known), 0.0), dict[str, float]()
    for _ in range(_FIT_ROUNDS):
        for family in {cell.family for cell, _ in known}:
            families[family] = fmean(v - overall - groups[c.group] for c, v in known if c.family == family)
        for group in groups:
            groups[group] = fmean(v - overall - families[c.family] for c, v in known if c.group == group)
    return [math.exp(overall + groups.get(cell.group, 0.0) + families.get(cell.family, 0.0)) for cell in cells]


def _replay(
    cells: Sequence[CellPace], durations: Sequence[_Durations], places: int, account_places: Mapping[str, int]
) -> float:
    """Returns the end of the last shard when the executor plays what is pending."""
    waiting: dict[str, deque[float]] = {}
    """Groups in the order of their turns -> durations of their blocks."""
    account_of = {cell.group: cell.account for cell in cells}
    running: list[tuple[float, str]] = []
    size = max(1, math.ceil(sum(cell.pending for cell in cells) / _MOST_BLOCKS))
    for cell, each in zip(cells, durations, strict=True):
        shares = _shares(len(cell.ages_s))
        running += [(each.rest(age, share), cell.group) for age, share in zip(cell.ages_s, shares, strict=True)]
        if cell.pending:
            blocks = math.ceil(cell.pending / size)
            parts = (each.quantile(share) * cell.pending / blocks for share in _shares(blocks))
            waiting.setdefault(cell.group, deque()).extend(parts)
    heapq.heapify(running)
    held = Counter(group for _, group in running)
    held_of_account = Counter(account_of[group] for _, group in running)
    now, free = 0.0, max(places, 1) - len(running)
    while running or waiting:
        while free > 0:
            ready = [g for g in waiting if _may_start(account_of[g], held_of_account, account_places)]
            if not ready:
                break
            group = min(ready, key=lambda name: held[name])
            queue = waiting.pop(group)
            heapq.heappush(running, (now + queue.popleft(), group))
            if queue:
                waiting[group] = queue  # now the last in turn
            held[group] += 1
            held_of_account[account_of[group]] += 1
            free -= 1
        now, group = heapq.heappop(running)
        held[group] -= 1
        held_of_account[account_of[group]] -= 1
        free += 1
    return now


def _may_start(account: str | None, held: Mapping[str | None, int], account_places: Mapping[str, int]) -> bool:
    return account is None or held[account] < max(account_places.get(account, 1 << 30), 1)
