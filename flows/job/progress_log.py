"""Progress of runs as plain lines, for outputs that are no terminal: files, pipes, CI, and Prefect's log.

The number of lines is bounded: nothing in the first ten seconds, then one line every 30 s, later one for every 5 % of
the time that has passed, at least every five minutes.  Between them, there is a line for the first failure, and for
each tenth of the episodes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.flows.job.run_pace import RunPace, joint_time_left
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.pipeline.text.quantities import duration_text
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.shard_summary import ShardSummary

Say = Callable[[str], None]
FIRST_LINE_S = 10.0
"""Time of playing without a line, so that short runs print their result alone."""
INTERVAL_S, LONGEST_INTERVAL_S = 30.0, 300.0
_SHARE_OF_ELAPSED = 0.05
_STEP_S = 5.0
"""Minimum time between two lines."""


@dataclass(slots=True)
class _Counts:
    """Counts over all runs that have begun."""

    run_ids: tuple[str, ...] = ()
    planned: int = 0
    before: int = 0
    """Episodes that had scores at the start."""
    scored: int = 0
    failed: int = 0
    cost_usd: float | None = 0.0
    """Cost of this start; None when the cost of an episode is unknown."""

    @property
    def played(self) -> int:
        return self.scored + self.failed

    @property
    def tenths(self) -> int:
        return 10 * (self.before + self.played) // max(self.planned, 1)

    def add(self, summary: ShardSummary) -> None:
        scored = summary.outcomes.get("scored", 0)
        self.scored += scored
        self.failed += sum(summary.outcomes.values()) - scored
        known = self.cost_usd is not None and summary.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (summary.cost_usd or 0.0) if known else None


class ProgressLog:
    """Says how far all runs together are, at most as often as the module describes."""

    def __init__(self, say: Say, clock: Callable[[], float]) -> None:
        """*say* receives the lines; *clock* returns seconds."""
        self._say, self._clock = say, clock
        self._counts = _Counts()
        self._paces: list[RunPace] = []
        self._in_flight = self._waiting = 0
        self._start: float | None = None
        """Time of the first status or shard, when the executor is there."""
        self._last = 0.0
        self._said_tenths, self._said_failure = -1, False

    def begin(self, run: PreparedRun) -> None:
        """Adds a run."""
        self._paces.append(run.pace)
        counts = self._counts
        counts.run_ids += (run.plan.run_id,)
        counts.planned += run.plan.episode_count
        counts.before += run.episodes_done

    def add(self, summary: ShardSummary) -> None:
        """Adds a stored shard."""
        self._counts.add(summary)
        self.tick()

    def status(self, snapshot: LimitsSnapshot) -> None:
        """Takes the number of calls that are in flight."""
        self._in_flight = sum(account.in_flight for account in snapshot.accounts)
        self._waiting = sum(account.waiting for account in snapshot.accounts)
        self.tick()

    def tick(self) -> None:
        """Says a line when one is due."""
        if self._is_due():
            self.say_now()

    def say_now(self) -> None:
        """Says a line."""
        counts = self._counts
        self._last, self._said_tenths, self._said_failure = self._clock(), counts.tenths, bool(counts.failed)
        self._say(self._line())

    def _is_due(self) -> bool:
        counts, now = self._counts, self._clock()
        elapsed, silent = self._elapsed(now), now - self._last
        if not counts.run_ids or elapsed < FIRST_LINE_S or counts.before + counts.played >= counts.planned:
            return False
        if self._said_tenths < 0:
            return True
        if silent < _STEP_S:
            return False
        news = counts.tenths > self._said_tenths or (bool(counts.failed) and not self._said_failure)
        return news or silent >= min(LONGEST_INTERVAL_S, max(INTERVAL_S, _SHARE_OF_ELAPSED * elapsed))

    def _elapsed(self, now: float) -> float:
        """Returns the seconds of playing; the first call begins them."""
        if self._start is None:
            self._start = now
        return now - self._start

    def _line(self) -> str:
        counts = self._counts
        done = counts.before + counts.played
        name = f"run {counts.run_ids[0]}" if len(counts.run_ids) == 1 else f"{len(counts.run_ids)} runs"
        parts = [f"{name}: {done:,} of {counts.planned:,} episodes ({done / max(counts.planned, 1):.0%})"]
        if counts.failed:
            parts.append(f"{counts.failed:,} failed")
        if counts.cost_usd is None:
            parts.append("cost unknown")
        elif counts.cost_usd:
            parts.append(f"${counts.cost_usd:,.2f}")
        if self._in_flight or self._waiting:
            parts.append(f"{count_text(self._in_flight, 'call')} in flight, {self._waiting:,} waiting")
        if any(pace.is_paused for pace in self._paces):
            parts.append("paused" if all(pace.is_paused for pace in self._paces) else "partly paused")
        seconds = joint_time_left(self._paces)
        if seconds and done < counts.planned:
            parts.append(f"about {duration_text(seconds)} left")
        return " · ".join(parts)
