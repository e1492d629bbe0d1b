"""Progress of a run on stderr: a bar on a terminal, nothing elsewhere."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from flows.evaluate import OnShard, PreparedRun
from workers.shard import ShardSummary

if TYPE_CHECKING:
    from rich.progress import Progress


class RunProgress:
    """Counts episodes as their shards are stored."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def warn(self, text: str) -> None:
        """Says something at once, above the bar where there is one."""
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)  # noqa: T201
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, run: PreparedRun) -> OnShard:
        """Shows the bar, and returns what moves it."""
        if not sys.stderr.isatty():
            return lambda _: None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        failed = 0
        item = bar.add_task(run.plan.run_id, total=run.plan.episode_count, completed=run.episodes_done)
        bar.start()

        def move(summary: ShardSummary) -> None:
            nonlocal failed
            played = sum(summary.outcomes.values())
            failed += played - summary.outcomes.get("scored", 0)
            note = f"{run.plan.run_id} ({failed} failed)" if failed else run.plan.run_id
            bar.update(item, advance=played, description=note)

        return move
