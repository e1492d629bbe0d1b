"""The scores of a sweep: one line per run and model, as a table, as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from muses_eval.dashboards.tables.leaderboard import SHORT_HEADINGS, leaderboard_records, unusable_note
from muses_eval.dashboards.tables.narrow_table import Narrowing
from muses_eval.dashboards.tables.score_format import NO_VALUE, mean_text, share_text
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import markdown_table, text_table
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.leaderboard import LeaderboardRow

_NARROWING = Narrowing(SHORT_HEADINGS, drop_first=("scored", "cost"))
NOTE = "mean ± standard error in %, clustered by scenario; – not ranked or no scores"


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """The leaderboard of one run of a sweep."""

    label: str
    """Parameter values of the run, as text; empty in a sweep of one run."""
    run_id: str
    rows: tuple[LeaderboardRow, ...]
    """Empty for a run without episodes."""


def score_records(runs: Sequence[ScoredRun]) -> list[dict[str, Any]]:
    """Returns the rows as JSON values, each with the label of its run."""
    return [{"run": run.label, **record} for run in runs for record in leaderboard_records(run.rows)]


def render_scores(runs: Sequence[ScoredRun], form: Literal["table", "md"], screen: Screen = PLAIN) -> str:
    """Returns the scores of all runs in one table, in the order of the grid; columns without any score are left out."""
    rows = [(run, row) for run in runs for row in run.rows]
    shown = [column for column in COLUMNS if any(row.estimates[column] for _, row in rows)]
    header = ["run", "model", "rank", *(COLUMNS[column].title for column in shown), "avg", "scored", "coverage"]
    unusable = any(row.unusable_share for _, row in rows)
    header += [*(["unusable"] if unusable else []), "cost"]
    body = [
        [
            run.label or run.run_id,
            row.model,
            NO_VALUE if row.rank is None else str(row.rank),
            *(mean_text(row.estimates[column]) for column in shown),
            NO_VALUE if row.avg is None else _average(row),
            str(row.episodes),
            share_text(row.coverage),
            *([share_text(row.unusable_share)] if unusable else []),
            "?" if row.cost_usd is None else f"${row.cost_usd:.2f}",
        ]
        for run, row in rows
    ]
    numeric = range(2, len(header))
    empty = [run.label or run.run_id for run in runs if not run.rows]
    kinds = [f"{run.label or run.run_id}, {unusable_note(row)}" for run, row in rows if row.unusable_share]
    notes = [NOTE, *kinds, *([f"without episodes: {', '.join(empty)}"] if empty else [])]
    if form == "md":
        return "\n\n".join((markdown_table(header, body, numeric), *notes))
    return "\n".join((text_table(header, body, numeric, screen, _NARROWING), *screen.remarks(notes)))


def _average(row: LeaderboardRow) -> str:
    error = "" if row.avg_se is None else f" ± {100 * row.avg_se:.1f}"
    return f"{100 * (row.avg or 0.0):.1f}{error}"
