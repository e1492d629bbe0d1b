"""The leaderboard as a LaTeX table in the form of the paper's table 2."""

from collections.abc import Iterator, Mapping, Sequence

from muses_eval.dashboards.tables.paper_table2 import TableRow
from muses_eval.dashboards.tables.text_table import one_line
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

_HEADER = {**{name: column.latex for name, column in COLUMNS.items()}, "avg": "Avg."}
_NO_VALUE = "--"
STRUCTURED_NOTE = "Structured facts name who may read what; an agent that enforces them keeps privacy by construction."
"""Sentence in the caption of a table with such an agent."""


def latex_table(rows: Sequence[TableRow]) -> str:
    """Returns a LaTeX table for the package booktabs, with the best figure of each column bold, the second underlined.

    Figures that are printed alike share a place.
    """
    columns = [column for column in _HEADER if any(row.estimates[column] for row in rows)]
    names = ["Model"] if all(row.is_chat for row in rows) else ["Model", "Agent", "Facts"]
    places = {column: _places(rows, column) for column in columns}
    return "\n".join(
        (
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_caption(rows)}}}",
            "\\label{tab:leaderboard}",
            f"\\begin{{tabular}}{{{'l' * len(names)}{'r' * len(columns)}}}",
            "\\toprule",
            f"{' & '.join(names)} & {' & '.join(_HEADER[column] for column in columns)} \\\\",
            *_body(rows, names, columns, places),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        )
    )


def escape(text: str) -> str:
    """Returns *text* with LaTeX's special characters escaped."""
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


def _body(
    rows: Sequence[TableRow], names: Sequence[str], columns: Sequence[str], places: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    groups = {
        "Measured": [row for row in rows if row.source == "ours" and row.role is None],
        "As published": [row for row in rows if row.source == "paper"],
        "Built-in agents": [row for row in rows if row.role is not None],
    }
    filled = {title: group for title, group in groups.items() if group}
    for title, group in filled.items():
        yield "\\midrule"
        if len(filled) > 1:
            yield f"\\multicolumn{{{len(names) + len(columns)}}}{{l}}{{\\emph{{{title}}}}} \\\\"
        for row in group:
            cells = [_cell(row, row.estimates[column], places[column]) for column in columns]
            about = [_name(row), *([escape(row.agent), row.facts] if len(names) > 1 else [])]
            yield f"{' & '.join([*about, *cells])} \\\\"


def _name(row: TableRow) -> str:
    name = escape(row.model if row.measured is None else row.measured.base_model)
    if row.role is not None:
        return f"{name} ({row.role})"
    if not row.comparable:
        return f"{name}$^{{\\dagger}}$"
    return name if row.competes else f"{name}$^{{*}}$"


def _cell(row: TableRow, estimate: MeanEstimate | None, places: Sequence[str]) -> str:
    if estimate is None:
        return _NO_VALUE
    figure = shown = _figure(estimate)
    if row.competes and figure in places:
        shown = f"\\textbf{{{figure}}}" if figure == places[0] else f"\\underline{{{figure}}}"
    return shown if estimate.se is None else f"{shown} $\\pm$ {100 * estimate.se:.1f}"


def _places(rows: Sequence[TableRow], column: str) -> list[str]:
    """Returns the best and the second best figure of a column, as printed; fewer when there are fewer."""
    found = {_figure(e) for row in rows if row.competes and (e := row.estimates[column]) is not None}
    return sorted(found, key=float, reverse=True)[:2]


def _figure(estimate: MeanEstimate) -> str:
    return f"{100 * estimate.mean:.1f}"


def _caption(rows: Sequence[TableRow]) -> str:
    measured = [row.measured for row in rows if row.measured is not None]
    runs = ", ".join(escape(run) for run in dict.fromkeys(each.run_id for each in measured))
    scorings = ", ".join(dict.fromkeys(each.scoring for each in measured))
    protocols = ", ".join(dict.fromkeys(row.protocol for row in rows if row.source == "ours"))
    parts = [f"Mean $\\pm$ standard error in \\%; run {runs}, {scorings} scoring, protocol {protocols}."]
    if any(each.averaging == "released" for each in measured):
        left_out, episodes = sum(each.left_out for each in measured), sum(each.episodes for each in measured)
        parts.append(f"Averaging of the released code: {left_out} of {episodes} rows are left out.")
    if any(row.facts == "structured" for row in rows):
        parts.append(STRUCTURED_NOTE)
    if any(row.source == "paper" for row in rows):
        parts.append("Rows as published are copied from table 2 of the Muses-Bench paper, not measured.")
    if any(row.role is None and not row.comparable for row in rows):
        parts.append(
            "$^{\\dagger}$ Other prompts and turns than those of the rows as published; the two do not compare."
        )
    if any(row.role is None and row.comparable and not row.competes for row in rows):
        parts.append("$^{*}$ Too few of the planned episodes are scored to compare.")
    return " ".join(parts)
