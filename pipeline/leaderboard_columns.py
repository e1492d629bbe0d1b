"""The columns of the leaderboard.  They are declared here, and for families of installed packages in their packages.

To add a column, add an entry to the declarations: the SQL views, the JSON and CSV records, the tables and the pages are
built from them.  The average of a row is the mean of its columns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.lazy_mapping import LazyMapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the leaderboard: a metric of one family, from 0 to 1."""

    name: str
    """Name in SQL, JSON and CSV; ``<name>_se`` is its standard error."""
    family: str
    metric: str
    """Name of the metric in the stored scores."""
    title: str
    """Heading of a text table."""
    heading: tuple[str, str]
    """Heading of a web page, in two lines: family and metric."""
    latex: str
    """Heading of a LaTeX table."""
    paper: str | None = None
    """Prefix of the column's names in ``paper_table2.csv``; None for a column that the paper's table lacks."""


_DECLARED = (
    Column(
        name="queue_f1",
        family="queue",
        metric="f1",
        title="queue F1",
        heading=("Queue", "F1"),
        latex="Queue F1",
        paper="queue_f1",
    ),
    Column(
        name="instruct_accuracy",
        family="instruct",
        metric="accuracy",
        title="instruct acc",
        heading=("Instruct", "accuracy"),
        latex="Instruct acc.",
        paper="instruct_acc",
    ),
    Column(
        name="privacy",
        family="access",
        metric="privacy",
        title="privacy",
        heading=("Access", "privacy"),
        latex="Privacy",
        paper="privacy",
    ),
    Column(
        name="utility",
        family="access",
        metric="utility",
        title="utility",
        heading=("Access", "utility"),
        latex="Utility",
        paper="utility",
    ),
    Column(
        name="meeting_success",
        family="meeting",
        metric="success",
        title="meeting succ",
        heading=("Meeting", "success"),
        latex="Meeting succ.",
        paper="meeting_success",
    ),
)

COLUMNS: Mapping[str, Column] = LazyMapping(lambda: {column.name: column for column in (*_DECLARED, *_installed())})
"""The columns by name, in the order of every table; those of installed packages come last."""


def _installed() -> Iterator[Column]:
    from muses_eval.pipeline.families.family_package import installed_families

    for package in installed_families().objects.values():
        yield from package.columns


def leaderboard_metrics(family: str) -> tuple[str, ...]:
    """Returns the metrics of a family that are columns of the leaderboard."""
    return tuple(column.metric for column in COLUMNS.values() if column.family == family)
