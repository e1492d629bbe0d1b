"""Progress of runs on a terminal: episodes, cost and the status of accounts; nothing when stderr is not a terminal."""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from muses_eval.flows.job.evaluate import OnShard, RunObserver
from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.workers.limits import AccountStatus, LimitsSnapshot
from muses_eval.workers.play.shard_summary import ShardSummary

if TYPE_CHECKING:
    from rich.progress import Progress


class ProgressDisplay:
    """Shows the number of stored episodes and the status of the accounts."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Removes the progress bar."""
        if self._bar is not None:
            self._bar.stop()

    @property
    def observer(self) -> RunObserver:
        """Observer that shows the events of a run."""
        return RunObserver(self.begin, self.warn, self.status)

    def warn(self, text: str) -> None:
        """Prints a warning, above the progress bar when it is shown."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def status(self, snapshot: LimitsSnapshot) -> None:
        """Shows the current status of the accounts."""
        self._lines[:] = account_lines(snapshot.accounts)

    def begin(self, run: PreparedRun) -> OnShard:
        """Shows the progress bar of a run, and returns the function that advances it."""
        if not sys.stderr.isatty():
            return lambda _: None
        bar = self._bar = self._bar or _board(self._lines)
        scored = failed = 0
        spent: float | None = 0.0
        item = bar.add_task(run.plan.run_id, total=run.plan.episode_count, completed=run.episodes_done)
        bar.start()

        def move(summary: ShardSummary) -> None:
            nonlocal scored, failed, spent
            played = sum(summary.outcomes.values())
            scored += summary.outcomes.get("scored", 0)
            failed += played - summary.outcomes.get("scored", 0)
            spent = None if spent is None or summary.cost_usd is None else spent + summary.cost_usd
            notes = [f"{failed} failed"] if failed else []
            notes += [f"${spent:,.2f}"] if spent else []
            going_on = scored + failed + run.episodes_done < run.plan.episode_count
            bar.update(item, advance=played, description=" · ".join((run.plan.run_id, *notes)), visible=going_on)

        return move


def _board(lines: list[str]) -> "Progress":
    """Returns a progress bar above *lines*, which may change."""
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Board(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            yield from (Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Board(*columns, console=Console(stderr=True), transient=True)


def account_lines(accounts: Iterable[AccountStatus]) -> list[str]:
    """Formats the status of every account in one line."""
    return [" · ".join(_parts(status)) for status in accounts]


def _parts(status: AccountStatus) -> Iterable[str]:
    yield f"  {status.name}"
    yield f"{_of(status.calls_per_s * 60, status.requests_per_minute)} calls/min ({status.source})"
    yield f"{_of(status.tokens_per_s * 60, status.tokens_per_minute)} tokens/min"
    yield f"{_of(status.in_flight, status.concurrency)} in flight"
    yield f"{status.waiting} waiting"
    if status.refused_share:
        yield f"{status.refused_share:.1%} refused"
    if status.failed_share:
        yield f"{status.failed_share:.1%} failed"
    if status.paused_s:
        yield f"paused for {status.paused_s:.0f} s"


def _of(value: float, most: float | None) -> str:
    return f"{value:,.0f}" if most is None else f"{value:,.0f} of {most:,.0f}"
