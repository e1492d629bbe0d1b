"""The rows of a leaderboard table: measured ones, and those of the paper's table 2 (``paper_table2.csv``).

The paper's rows are copied, never measured here, and are labelled so.  Built-in agents are the floor and the ceiling of
a table, not competitors: none of their figures is marked as best.  The same holds for rows of another protocol than the
paper's, beside its rows.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from muses_eval.pipeline.agents.agent_spec import CHAT, FactsLevel
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

Source = Literal["ours", "paper"]

PAPER_PROTOCOL: ProtocolName = "released"
PAPER_COLUMNS = frozenset(name for name, column in COLUMNS.items() if column.paper is not None)
"""Columns of the leaderboard that the paper's table has, and that its average is over."""

PAPER_NOTES = (
    "rows of the paper: copied from table 2 of the Muses-Bench paper, not measured here",
    "their meetings: the errors of 13 of the 19 rows fit 720 scenarios (2 to 30 users), of four about 216 (2 to 10)",
    "their instruct: the paper names 1,298 scenarios; 555 are released",
    "their averages: without rows that failed and access without a scored round, as by --averaging released",
    "their users: simulated by gpt-4o-mini; temperature 1.0 for all models",
)
"""Notes below a table with rows of the paper: how those rows were obtained."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One model, measured or published; 0 to 1."""

    source: Source
    model: str
    estimates: Mapping[str, MeanEstimate | None]
    """Estimate of every column of the leaderboard and of ``avg``; None when unknown."""
    measured: LeaderboardRow | None = None
    """The measured row; None for a published one."""
    comparable: bool = True
    """False beside the paper's rows when it was played by another protocol."""

    @property
    def role(self) -> Literal["floor", "ceiling"] | None:
        """Role of a built-in agent in the table; None for a model."""
        if self.measured is None or self.measured.builtin is None:
            return None
        return "ceiling" if self.measured.builtin == "oracle" else "floor"

    @property
    def is_chat(self) -> bool:
        """True for a model alone, as all published rows are."""
        return self.measured is None or self.measured.is_chat

    @property
    def agent(self) -> str:
        return CHAT.name if self.measured is None else self.measured.agent

    @property
    def facts(self) -> FactsLevel:
        """Facts that the agent receives."""
        return CHAT.facts if self.measured is None else self.measured.facts

    @property
    def agent_error_share(self) -> float | None:
        return None if self.measured is None else self.measured.agent_error_share

    @property
    def protocol(self) -> str:
        """The protocol of its episodes; ``?`` without a manifest."""
        return PAPER_PROTOCOL if self.measured is None else self.measured.protocol or "?"

    @property
    def competes(self) -> bool:
        """True when its figures may be marked as best.

        It is comparable and not a built-in agent, and enough of its plan is scored.
        """
        return self.comparable and self.role is None and (self.measured is None or self.measured.ranked)


def measured_rows(rows: Sequence[LeaderboardRow], *, beside_paper: bool = False) -> list[TableRow]:
    """Returns our rows.

    *beside_paper*: averages over other columns than the paper's are left out; rows of another protocol do not compete.
    """
    return [
        TableRow(
            "ours",
            row.model,
            {
                **{column: row.estimate(column) for column in COLUMNS},
                "avg": None if beside_paper and not averages_like_paper(row) else _average(row),
            },
            row,
            comparable=not beside_paper or row.protocol == PAPER_PROTOCOL,
        )
        for row in rows
    ]


def averages_like_paper(row: LeaderboardRow) -> bool:
    """Returns True when the average of a row is over the columns that the paper averages."""
    return row.avg_columns == len(PAPER_COLUMNS) and all(row.estimate(column) for column in PAPER_COLUMNS)


def published_rows() -> list[TableRow]:
    """Returns the paper's rows in its order; it has no errors of the averages."""
    text = (files("muses_eval.dashboards.tables") / "paper_table2.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [
        TableRow(
            "paper",
            row["model"],
            {
                **{name: _published(row, column.paper) for name, column in COLUMNS.items()},
                "avg": MeanEstimate(_share(row["avg"]), None),
            },
        )
        for row in rows
    ]


def _average(row: LeaderboardRow) -> MeanEstimate | None:
    return None if row.avg is None else MeanEstimate(row.avg, row.avg_se)


def _published(row: Mapping[str, str], prefix: str | None) -> MeanEstimate | None:
    if prefix is None:
        return None
    return MeanEstimate(_share(row[f"{prefix}_mean"]), _share(row[f"{prefix}_se"]))


def _share(percent: str) -> float:
    return round(float(percent) / 100, 6)  # 0.959, not 0.9590000000000001
