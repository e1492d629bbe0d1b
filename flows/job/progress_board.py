"""The progress bar of the runs, with lines below it: on a terminal, or as the output of a notebook's cell."""

from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

_DRAWING_INTERVAL_S = 0.2


class ProgressBoard(Progress):
    """A progress bar for each run above *lines*, which may change; removed from the terminal at the end."""

    keeps_finished_runs = False

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", style="cyan"),
        )
        super().__init__(*columns, console=Console(stderr=True), transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        yield from (Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in self._lines)


class NotebookBoard(ProgressBoard):
    """Drawn when it changes, and kept in the output of the cell.

    Rich's own display in notebooks needs ipywidgets; this one needs IPython alone.
    """

    keeps_finished_runs = True

    def __init__(self, lines: list[str]) -> None:
        self._output: Any = None
        self._drawn_at = 0.0
        self._drawing = Lock()
        super().__init__(lines)

    def start(self) -> None:
        from IPython.display import display

        if self._output is None:
            self._output = display(self, display_id=True)

    def refresh(self) -> None:
        if monotonic() - self._drawn_at >= _DRAWING_INTERVAL_S:
            self._draw()

    def stop(self) -> None:
        self._lines.clear()
        self._draw()

    def _draw(self) -> None:
        if self._output is not None:
            with self._drawing:
                self._drawn_at = monotonic()
                self._output.update(self)
