"""Progress of runs: a bar with the status of accounts on a terminal or in a notebook, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from muses_eval.flows.job.evaluate import RunObserver
from muses_eval.flows.job.prepare import OnShard, PreparedRun
from muses_eval.flows.job.progress_log import ProgressLog
from muses_eval.flows.job.run_pace import RunPace
from muses_eval.pipeline.text.quantities import duration_text
from muses_eval.workers.limits import AccountStatus, LimitsSnapshot
from muses_eval.workers.play.shard_summary import ShardSummary

_SHORTEST_NAME = 10

if TYPE_CHECKING:
    from muses_eval.flows.job.progress_board import ProgressBoard
    from rich.progress import TaskID


class ProgressDisplay:
    """Shows the number of stored episodes, their cost, and the status of the accounts."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        """*quiet*: show warnings alone; *clock* returns seconds."""
        self._bar: ProgressBoard | None = None
        self._lines: list[str] = []
        self._runs: dict[TaskID, RunPace] = {}
        self._quiet = quiet
        self._log = ProgressLog(_to_stderr, clock)

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
            _to_stderr(text)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def status(self, snapshot: LimitsSnapshot) -> None:
        """Shows the current status of the accounts."""
        self._lines[:] = account_lines(snapshot.accounts, None if self._bar is None else self._bar.console.width)
        if self._bar is not None:
            for item, pace in self._runs.items():
                self._bar.update(item, left=_left(pace))
            self._bar.refresh()
        elif not self._quiet:
            self._log.status(snapshot)

    def begin(self, run: PreparedRun) -> OnShard:
        """Shows the progress of a run, and returns the function that advances it."""
        if self._quiet:
            return lambda _: None
        bar = self._bar = self._bar or _board(self._lines)
        if bar is None:
            self._log.begin(run)
            return self._log.add
        scored = failed = 0
        spent: float | None = 0.0
        item = bar.add_task(run.plan.run_id, total=run.plan.episode_count, completed=run.episodes_done, left="")
        self._runs[item] = run.pace
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
            if not going_on:
                self._runs.pop(item, None)
                bar.update(item, left="")
            text = " · ".join((run.plan.run_id, *notes))
            bar.update(item, advance=played, description=text, visible=going_on or bar.keeps_finished_runs)
            bar.refresh()

        return move


def _board(lines: list[str]) -> "ProgressBoard | None":
    """Returns a progress bar above *lines*, which may change; None where it is not shown."""
    in_notebook = _in_notebook()
    if not in_notebook and not sys.stderr.isatty():
        return None
    from muses_eval.flows.job.progress_board import NotebookBoard, ProgressBoard

    return NotebookBoard(lines) if in_notebook else ProgressBoard(lines)


def _left(pace: RunPace) -> str:
    """Returns the state and the time left of a run, such as ``paused · 12 min left``."""
    seconds = pace.time_left()
    left = f"{duration_text(seconds)} left" if seconds else ""
    return " · ".join(part for part in ("paused" if pace.is_paused else "", left) if part)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _in_notebook() -> bool:
    """Returns True in a Jupyter kernel, which imports IPython."""
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter


def account_lines(accounts: Iterable[AccountStatus], width: int | None = None) -> list[str]:
    """Formats the status of every account in one line; a shorter one when it would exceed *width* columns."""
    whole = [(status, " · ".join(_parts(status))) for status in accounts]
    return [line if width is None or len(line) <= width else _short(status, width) for status, line in whole]


def _short(status: AccountStatus, width: int) -> str:
    """Returns what is most important of the status; a name that is too long is cut in the middle."""
    ranked = [
        (0, f"{_compact(status.calls_per_s * 60, status.requests_per_minute)} calls/min"),
        (6, f"{_compact(status.tokens_per_s * 60, status.tokens_per_minute)} tok/min"),
        (1, f"{_compact(status.in_flight, status.concurrency)} in flight"),
        (4, f"{_rounded(status.waiting)} waiting"),
        *([(3, f"{status.refused_share:.0%} refused")] if status.refused_share else []),
        *([(5, f"{status.failed_share:.0%} failed")] if status.failed_share else []),
        *([(2, f"paused {status.paused_s:.0f} s")] if status.paused_s else []),
    ]
    while len(ranked) > 1 and len(_joined("", ranked)) + _SHORTEST_NAME > width:
        ranked.remove(max(ranked))
    name, room = status.name, max(width - len(_joined("", ranked)), _SHORTEST_NAME)
    if len(name) > room:
        name = f"{name[: room - 1 - room // 2]}…{name[-(room // 2) :]}"
    return _joined(name, ranked)


def _joined(name: str, parts: Iterable[tuple[int, str]]) -> str:
    return " · ".join((f"  {name}", *(text for _, text in parts)))


def _compact(value: float, most: float | None) -> str:
    return _rounded(value) if most is None else f"{_rounded(value)}/{_rounded(most)}"


def _rounded(value: float) -> str:
    """Returns at most three digits, such as 950, 1.2k or 2M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"


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
