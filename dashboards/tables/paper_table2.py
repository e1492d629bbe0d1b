"""The paper's table 2: its published rows (``paper_table2.csv``), and ours in its form as LaTeX.

Published rows are copied, never measured here, and say so wherever they stand.  Built-in agents are the floor and the
ceiling of a table, no contenders: nothing of theirs is set off as best.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from muses_eval.dashboards.tables.text_table import one_line
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

Source = Literal["ours", "paper"]

_HEADER = {**{name: column.latex for name, column in COLUMNS.items()}, "avg": "Avg."}
_NOTHING = "--"


@dataclass(frozen=True, slots=True)
class Line:
    """One model's line of a table, measured or published; 0 to 1."""

    source: Source
    model: str
    estimates: Mapping[str, MeanEstimate | None]
    """For every column of the leaderboard, and ``avg``; None where nothing is known."""
    row: LeaderboardRow | None = None
    """Where it comes from; None for a published line."""

    @property
    def role(self) -> Literal["floor", "ceiling"] | None:
        """What a built-in agent stands for; None for a model."""
        if self.row is None or self.row.builtin is None:
            return None
        return "ceiling" if self.row.builtin == "oracle" else "floor"

    @property
    def competes(self) -> bool:
        """Whether it may be called the best: no built-in agent, and enough of its plan is scored."""
        return self.role is None and (self.row is None or self.row.ranked)


def measured(rows: Sequence[LeaderboardRow], *, beside_paper: bool = False) -> list[Line]:
    """Our rows.  *beside_paper*: an average over fewer columns than the paper's is left out."""
    lines = []
    for row in rows:
        comparable = not beside_paper or row.avg_columns == len(COLUMNS)
        average = MeanEstimate(row.avg, row.avg_se) if row.avg is not None and comparable else None
        estimates = {**{column: row.estimate(column) for column in COLUMNS}, "avg": average}
        lines.append(Line("ours", row.model, estimates, row))
    return lines


def published() -> list[Line]:
    """The paper's rows in its order.  It gives no error of the averages."""
    text = (files("muses_eval.dashboards.tables") / "paper_table2.csv").read_text(encoding="utf-8")
    lines = []
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        estimates: dict[str, MeanEstimate | None] = {
            name: MeanEstimate(_share(row[f"{column.paper}_mean"]), _share(row[f"{column.paper}_se"]))
            for name, column in COLUMNS.items()
        }
        lines.append(Line("paper", row["model"], {**estimates, "avg": MeanEstimate(_share(row["avg"]), None)}))
    return lines


def _share(percent: str) -> float:
    return round(float(percent) / 100, 6)  # 0.959, not 0.9590000000000001


def latex_table(lines: Sequence[Line]) -> str:
    """The lines as a LaTeX table for the package booktabs: best bold, second best underlined, in every column.

    Equal figures, as printed, share a place.
    """
    columns = [column for column in _HEADER if any(line.estimates[column] for line in lines)]
    places = {column: _places(lines, column) for column in columns}
    return "\n".join(
        (
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_caption(lines)}}}",
            "\\label{tab:leaderboard}",
            f"\\begin{{tabular}}{{l{'r' * len(columns)}}}",
            "\\toprule",
            f"Model & {' & '.join(_HEADER[column] for column in columns)} \\\\",
            *_body(lines, columns, places),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        )
    )


def escape(text: str) -> str:
    """*text* as LaTeX sets it, to the letter."""
    return "".join(_SPECIAL.get(character, character) for character in one_line(text))


_SPECIAL = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _body(lines: Sequence[Line], columns: Sequence[str], places: Mapping[str, Sequence[str]]) -> Iterator[str]:
    groups = {
        "Measured": [line for line in lines if line.source == "ours" and line.role is None],
        "As published": [line for line in lines if line.source == "paper"],
        "Built-in agents": [line for line in lines if line.role is not None],
    }
    filled = {title: group for title, group in groups.items() if group}
    for title, group in filled.items():
        yield "\\midrule"
        if len(filled) > 1:
            yield f"\\multicolumn{{{len(columns) + 1}}}{{l}}{{\\emph{{{title}}}}} \\\\"
        for line in group:
            cells = [_cell(line, line.estimates[column], places[column]) for column in columns]
            yield f"{_name(line)} & {' & '.join(cells)} \\\\"


def _name(line: Line) -> str:
    name = escape(line.model)
    if line.role is not None:
        return f"{name} ({line.role})"
    return name if line.competes else f"{name}$^{{*}}$"


def _cell(line: Line, estimate: MeanEstimate | None, places: Sequence[str]) -> str:
    if estimate is None:
        return _NOTHING
    figure = shown = _figure(estimate)
    if line.competes and figure in places:
        shown = f"\\textbf{{{figure}}}" if figure == places[0] else f"\\underline{{{figure}}}"
    return shown if estimate.se is None else f"{shown} $\\pm$ {100 * estimate.se:.1f}"


def _places(lines: Sequence[Line], column: str) -> list[str]:
    """The best and the second best figure of a column, as printed; fewer when there are fewer."""
    found = {_figure(e) for line in lines if line.competes and (e := line.estimates[column]) is not None}
    return sorted(found, key=float, reverse=True)[:2]


def _figure(estimate: MeanEstimate) -> str:
    return f"{100 * estimate.mean:.1f}"


def _caption(lines: Sequence[Line]) -> str:
    rows = [line.row for line in lines if line.row is not None]
    runs = ", ".join(escape(run) for run in dict.fromkeys(row.run_id for row in rows))
    scorings = ", ".join(dict.fromkeys(row.scoring for row in rows))
    parts = [f"Mean $\\pm$ standard error in \\%; run {runs}, {scorings} scoring."]
    if any(line.source == "paper" for line in lines):
        parts.append("Rows as published are copied from table 2 of the Muses-Bench paper, not measured.")
    if any(line.role is None and not line.competes for line in lines):
        parts.append("$^{*}$ Too few of the planned episodes are scored to compare.")
    return " ".join(parts)
