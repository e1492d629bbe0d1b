"""The leaderboard: one row per model and run, with the columns of the paper's table 2.

Failures are never scores: means are over scored episodes alone.  Every row has the number of episodes by outcome and
the share of the plan that is scored; when episodes are missing, also the bounds of the means over all planned episodes.
Unusable replies are scored, but a model with many of them is broken or set up wrongly: it is shown and not ranked.
Built-in agents are the ceiling and the floor of a leaderboard, not competitors: beside a model they are not ranked, and
come after all models.  A run of built-in agents alone, such as the demo, ranks them among themselves.
A row on which the released code fails is no failure of this project: it is scored, and counts as 0 unless the averaging
is that of the released code.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import groupby
from typing import Any, Literal

import duckdb
from muses_eval.pipeline.agents.agent_spec import CHAT, FactsLevel
from muses_eval.pipeline.episode.call_usage import sum_or_none
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.unusable_replies import DEFAULT_MAX_UNUSABLE, UNUSABLE_KINDS, UnusableKind
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.leaderboard_columns import COLUMNS, Column
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.analysis.intervals import Bounds, worst_case_bounds
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.night_marks import NightMark, manifest_marks

Averaging = Literal["all", "released"]
"""Episodes of a mean: ``all`` scored ones, or ``released``, without those that the script of the paper's table 2 leaves
out: rows on which the released code fails, and episodes of access without a scored round."""

_LEFT_OUT_METRICS = ("row_error", "scored_rounds")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderboardRow:
    """One model in one run.  Means are 0 to 1."""

    rank: int | None = None
    """Rank among the ranked rows of the run; equal averages share a rank."""
    run_id: str
    scoring: Scoring
    protocol: ProtocolName | None = None
    """Protocol of the run; None without a manifest."""
    model: str
    """Name of the entry: the model's name, and for an agent `<model> + <agent>`."""
    base_model: str
    """Name of the model alone."""
    agent: str = CHAT.name
    facts: FactsLevel = CHAT.facts
    """Facts that the agent receives."""
    estimates: Mapping[str, MeanEstimate | None]
    """Column -> mean and standard error, for every column of the leaderboard; None when nothing was scored."""
    avg: float | None
    """Mean of the columns in which any row of the run has a value; None when this row lacks one of them."""
    avg_se: float | None
    avg_columns: int
    """Number of columns that ``avg`` is a mean of."""
    episodes: int
    """Number of scored episodes."""
    planned: int | None
    """Number of planned episodes; None when the store has no manifest of the run."""
    coverage: float | None
    """episodes / planned."""
    outcomes: Mapping[str, int]
    """Number of episodes by outcome; planned episodes that were not played have none."""
    bounds: Mapping[str, Bounds]
    """Column -> bounds of its mean, for columns with missing episodes: as if all of them scored 0, or 1."""
    cost_usd: float | None
    """Cost of all played episodes, in US dollars; None when the cost of one is unknown."""
    ranked: bool
    """True when enough of the plan is scored, and few enough replies are unusable, in every family, to compare this row
    with others.  False for a built-in agent in a run that evaluates a model."""
    builtin: str | None = None
    """Name of a scripted agent (``oracle``, ...); None for a model, or without a manifest."""
    averaging: Averaging = "all"
    left_out: int = 0
    """Number of scored episodes that the averaging leaves out of the means."""
    agent_error_share: float | None = None
    """Share of the scored episodes in which the agent failed in a turn; None for the model alone and without scores."""
    marks: Mapping[str, NightMark] = field(default_factory=dict)
    """Column -> mark, for the columns of a night that were taken over from an earlier one, or whose canary drifted."""
    unusable_excess: str | None = None
    """Text about the families with so many unusable replies that the row is not ranked; None without any."""
    unusable_share: float | None = None
    """Share of the replies in the scored episodes that are unusable; None without replies."""
    overflowed_share: float | None = None
    """Part of ``unusable_share``, as the next ones: of the kinds in
    :data:`muses_eval.pipeline.episode.unusable_replies.UnusableKind`."""
    filtered_share: float | None = None
    truncated_share: float | None = None
    empty_share: float | None = None
    unreadable_share: float | None = None

    @property
    def is_chat(self) -> bool:
        """True for the model alone."""
        return self.agent == CHAT.name

    def estimate(self, column: str) -> MeanEstimate | None:
        """Returns the estimate of a column; None when nothing was scored."""
        return self.estimates[column]

    @property
    def unusable_kinds(self) -> dict[UnusableKind, float]:
        """Kinds of unusable replies that occurred -> their shares, the most frequent first."""
        shares: dict[UnusableKind, float] = {kind: getattr(self, f"{kind}_share") or 0.0 for kind in UNUSABLE_KINDS}
        return {kind: share for kind, share in sorted(shares.items(), key=lambda item: -item[1]) if share}


def all_unusable(rows: Iterable[LeaderboardRow]) -> bool:
    """Returns True when too many replies of every model are unusable; scripted agents do not count as models."""
    models = [row for row in rows if row.builtin is None]
    return bool(models) and all(row.unusable_excess is not None for row in models)


def leaderboard(  # noqa: PLR0913 - independent options
    connection: duckdb.DuckDBPyConnection,
    scoring: Scoring = "published",
    run_id: str | None = None,
    threshold: float = 0.99,
    *,
    columns: Mapping[str, Column] = COLUMNS,
    averaging: Averaging = "all",
    max_unusable: float | None = None,
) -> list[LeaderboardRow]:
    """Returns the rows of one run or of all runs, sorted by run; in each run models, then built-in agents, best first.

    Args:
        connection: from :func:`muses_eval.storage.query.duckdb_connection.connect`.
        scoring: the scores to use.
        run_id: None for all runs.
        threshold: coverage that a row needs in every family to be ranked.
        columns: columns to read; ``avg`` is over these.
        averaging: episodes that count; ``released`` goes with the scoring ``published``.
        max_unusable: share of unusable replies above which, in any family, a row is not ranked; None for that of the
            run's configuration.

    Raises:
        MusesError: the stored scores do not tell which episodes *averaging* leaves out.
    """
    released = averaging == "released"
    query = (files("muses_eval.storage.analysis") / "leaderboard.sql").read_text(encoding="utf-8")
    parameters = {
        "scoring": scoring,
        "run_id": run_id,
        "columns": list(columns),
        "metrics": [*(column.metric for column in columns.values()), *(_LEFT_OUT_METRICS if released else ())],
        "released": released,
    }
    cells = [_Cell(*values) for values in connection.execute(query, parameters).fetchall()]
    for cell in cells:
        if cell.unknown_rows:
            raise MusesError(
                f"run {cell.run_id!r}: {cell.unknown_rows} episodes of {cell.family} and {cell.model} have no score "
                f"'row_error', which the averaging of the released code needs; `muses rescore {cell.run_id}` adds it"
            )
    identities, marks = _identities(connection), _marks(connection)
    runs = connection.execute(
        "SELECT run_id, protocol, TRY_CAST(config ->> 'max_unusable' AS DOUBLE) FROM runs"
    ).fetchall()
    protocols = {run: protocol for run, protocol, _ in runs}
    limits = {run: limit for run, _, limit in runs if limit is not None and max_unusable is None}
    default = DEFAULT_MAX_UNUSABLE if max_unusable is None else max_unusable
    models = [
        _with_manifest(
            replace(
                _row(scoring, _Limits(threshold, limits.get(run, default)), list(group), columns), averaging=averaging
            ),
            protocols.get(run),
            identities.get((run, model), {}),
            marks.get(run, {}).get(model, {}),
        )
        for (run, model), group in groupby(cells, key=lambda cell: (cell.run_id, cell.model))
    ]
    return [row for _, rows in groupby(models, key=lambda row: row.run_id) for row in _ranked(rows)]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One row of ``leaderboard.sql``: one model, run and family."""

    run_id: str
    model: str
    family: str
    planned: int | None
    base_model: str
    agent: str
    facts: FactsLevel
    agent_errors: int
    """Number of scored episodes in which the agent failed."""
    replies: int
    """Number of the agent's replies in scored episodes."""
    unusable: Mapping[UnusableKind, int | None] | None
    """Kind -> number of these replies."""
    outcomes: Mapping[str, int] | None
    cost_usd: float | None
    unknown_costs: int | None
    left_out: int
    unknown_rows: int
    estimates: Mapping[str, Mapping[str, float]] | None
    avg: float | None
    avg_se: float | None
    avg_columns: int

    @property
    def scored(self) -> int:
        return (self.outcomes or {}).get("scored", 0)

    def count(self, kind: UnusableKind) -> int:
        """Returns the number of unusable replies of a kind."""
        return (self.unusable or {}).get(kind) or 0

    @property
    def unusable_share(self) -> float:
        """Share of unusable replies; 0 without replies."""
        return sum(map(self.count, UNUSABLE_KINDS)) / self.replies if self.replies else 0.0

    def estimate(self, column: str) -> MeanEstimate | None:
        found = (self.estimates or {}).get(column)
        return MeanEstimate(found["mean"], found["se"]) if found else None


def _identities(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Returns (run, model) -> identity of the model, from the manifests."""
    return {
        (run_id, model): identity
        for run_id, models in connection.execute("SELECT run_id, models FROM runs").fetchall()
        for model, identity in json.loads(models).items()
    }


def _marks(connection: duckdb.DuckDBPyConnection) -> dict[str, Mapping[str, Mapping[str, NightMark]]]:
    """Returns night -> entry -> column -> mark, from the manifests."""
    nights = connection.execute("SELECT run_id, cells, night FROM runs WHERE json_array_length(cells) > 0")
    return {
        run_id: manifest_marks(run_id, json.loads(cells), None if night is None else json.loads(night))
        for run_id, cells, night in nights.fetchall()
    }


def _with_manifest(
    row: LeaderboardRow, protocol: ProtocolName | None, identity: Mapping[str, Any], marks: Mapping[str, NightMark]
) -> LeaderboardRow:
    """Returns the row with what only the manifest knows; *identity* is empty without a manifest."""
    agent = identity.get("agent", {})
    return replace(
        row,
        protocol=protocol,
        builtin=identity["model"] if identity.get("provider") == "scripted" else None,
        base_model=identity.get("base_model", row.base_model),
        agent=agent.get("name", row.agent),
        facts=agent.get("facts", row.facts),
        marks=marks,
    )


@dataclass(frozen=True, slots=True)
class _Limits:
    """Requirements that a row must meet in every family to be ranked."""

    coverage: float
    """Least share of the planned episodes that are scored."""
    max_unusable: float
    """Largest share of unusable replies."""


def _unusable_excess(cells: Iterable[_Cell], most: float) -> str | None:
    """Describes the families in which more than the share *most* of the replies is unusable; None without any."""
    shares = [
        f"{_percent(cell.unusable_share)} of its replies in {cell.family}"
        for cell in cells
        if cell.unusable_share > most
    ]
    return f"{_listed(shares)} are unusable, and at most {_percent(most)} may be" if shares else None


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _row(scoring: Scoring, limits: _Limits, cells: Sequence[_Cell], columns: Mapping[str, Column]) -> LeaderboardRow:
    by_family = {cell.family: cell for cell in cells}
    estimates: dict[str, MeanEstimate | None] = {}
    missing: dict[str, Bounds] = {}
    for name, column in columns.items():
        cell = by_family.get(column.family)
        found = estimates[name] = cell.estimate(name) if cell else None
        if cell and cell.planned and cell.scored < cell.planned:
            scored, planned = cell.scored - cell.left_out, cell.planned - cell.left_out
            missing[name] = worst_case_bounds(found.mean if found else None, scored, planned)
    episodes = sum(cell.scored for cell in cells)
    all_planned = sum_or_none(cell.planned for cell in cells)
    coverage = episodes / all_planned if all_planned else None
    errors = sum(cell.agent_errors for cell in cells)
    covered = all(cell.planned is not None and cell.scored >= limits.coverage * cell.planned for cell in cells)
    excess = _unusable_excess(cells, limits.max_unusable)
    replies = sum(cell.replies for cell in cells)
    unusable = {kind: sum(cell.count(kind) for cell in cells) / replies if replies else None for kind in UNUSABLE_KINDS}
    return LeaderboardRow(
        run_id=cells[0].run_id,
        scoring=scoring,
        model=cells[0].model,
        base_model=cells[0].base_model,
        agent=cells[0].agent,
        facts=cells[0].facts,
        estimates=estimates,
        avg=cells[0].avg,
        avg_se=cells[0].avg_se,
        avg_columns=cells[0].avg_columns,
        episodes=episodes,
        planned=all_planned,
        coverage=coverage,
        outcomes={name: sum((cell.outcomes or {}).get(name, 0) for cell in cells) for name in OUTCOMES},
        bounds=missing,
        cost_usd=None if any(cell.unknown_costs for cell in cells) else sum(cell.cost_usd or 0.0 for cell in cells),
        left_out=sum(cell.left_out for cell in cells),
        ranked=covered and excess is None,
        unusable_excess=excess,
        agent_error_share=errors / episodes if episodes and cells[0].agent != CHAT.name else None,
        unusable_share=sum(cell.count(kind) for cell in cells for kind in UNUSABLE_KINDS) / replies
        if replies
        else None,
        overflowed_share=unusable["overflowed"],
        filtered_share=unusable["filtered"],
        truncated_share=unusable["truncated"],
        empty_share=unusable["empty"],
        unreadable_share=unusable["unreadable"],
    )


def _ranked(rows: Iterable[LeaderboardRow]) -> list[LeaderboardRow]:
    """Returns the rows of one run with their ranks: models, then built-in agents, each best first."""
    found = list(rows)
    if any(row.builtin is None for row in found):
        found = [row if row.builtin is None else replace(row, ranked=False) for row in found]
    ordered = sorted(found, key=lambda row: (row.builtin is not None, row.avg is None, -(row.avg or 0.0), row.model))
    averages = [row.avg for row in ordered if row.ranked and row.avg is not None]
    return [
        replace(row, rank=1 + averages.index(row.avg)) if row.ranked and row.avg is not None else row for row in ordered
    ]
