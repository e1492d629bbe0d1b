"""The result of a run, read back from its store."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muses_eval.flows.job.prepare import PreparedRun, users_model
from muses_eval.flows.job.unusable_notice import unusable_notices
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.episode.call_usage import CallUsage
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.errors import FailureKind
from muses_eval.pipeline.plan.plan import Plan
from muses_eval.pipeline.prices import prices_of
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.runs.spending import read_spending
from muses_eval.workers.play.shard_summary import ShardSummary

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.analysis.leaderboard import LeaderboardRow
    from muses_eval.storage.runs.agent_faults import AgentFaults


@dataclass(frozen=True, slots=True)
class RunReport:
    """The result of a run over this start and all earlier ones."""

    run_id: str
    store: str
    dataset_version: str
    protocol: ProtocolName
    planned: int
    outcomes: dict[str, int]
    seconds: float
    """Duration of this start."""
    spent: CallUsage
    """Usage of all stored attempts."""
    cost_usd: float | None
    """Cost of all stored attempts; None when the cost of an episode is unknown."""
    budget: Budget | None
    budget_reached: bool
    """True when episodes were not played because of the budget."""
    unpriced: tuple[str, ...]
    """Models with an unknown price."""
    rows: "tuple[LeaderboardRow, ...]" = field(repr=False)
    """Rows of the leaderboard by the published scoring, best first."""
    problems: tuple[tuple[int, FailureKind, str], ...]
    """Failures of this start as (episodes, kind, text), the most frequent first."""
    faults: "tuple[AgentFaults, ...]"
    """Entries whose agents failed in any episode; empty without agents."""
    notices: tuple[str, ...]
    """Lines about models with unusable replies: which share and kind, and where to look."""
    complete: bool
    """True when every model reached the coverage of the config in every family."""

    @property
    def all_unusable(self) -> bool:
        """True when too many replies of every model are unusable, so that the run ranks no model."""
        from muses_eval.storage.analysis.leaderboard import all_unusable

        return all_unusable(self.rows)

    @property
    def leaderboard(self) -> "pl.DataFrame":
        """The rows as a frame, with the columns of :func:`muses_eval.flows.api.leaderboard.leaderboard`."""
        from muses_eval.dashboards.tables.frames import leaderboard_frame

        return leaderboard_frame(self.rows)


if TYPE_CHECKING:
    _Counts = Mapping[tuple[str, str], Mapping[str, int]]
    _Results = tuple[list[LeaderboardRow], _Counts, tuple[AgentFaults, ...], tuple[str, ...]]


def report(run: PreparedRun, summaries: Iterable[ShardSummary], seconds: float) -> RunReport:
    """Reads the run's results back from the store."""
    from muses_eval.storage.analysis.leaderboard import leaderboard
    from muses_eval.storage.query.resilient_query import resilient_query
    from muses_eval.storage.runs.agent_faults import agent_faults
    from muses_eval.storage.runs.cell_results import outcome_counts

    problems: Counter[tuple[FailureKind, str]] = Counter()
    stopped = 0
    for summary in summaries:
        problems.update(summary.problems)
        stopped += summary.outcomes.get("budget_stopped", 0)
    for cell in run.pending.cells:
        if cell.entry in run.unplayable:
            unavailable = run.unplayable[cell.entry]
            problems[unavailable.kind, unavailable.text] += cell.episode_count

    def results(connection: "DuckDBPyConnection") -> "_Results":
        rows = leaderboard(
            connection, run_id=run.plan.run_id, threshold=run.config.coverage, max_unusable=run.config.max_unusable
        )
        has_agents = any(not cell.agent.is_chat for cell in run.plan.cells)
        faults = agent_faults(connection, run.plan.run_id) if has_agents else ()
        return rows, outcome_counts(connection, run.plan.run_id), faults, _notices(connection, run, rows)

    # Episodes of damaged objects were reported when the run was prepared, and have been played again.
    rows, stored, faults, notices = resilient_query(run.store.url, results, run.plan.run_id).value
    spent = read_spending(run.store, run.plan.run_id, run.index.damaged)
    costs = [row.cost_usd for row in rows]
    return RunReport(
        run_id=run.plan.run_id,
        store=run.store.url,
        dataset_version=run.plan.dataset_version,
        protocol=run.plan.protocol.name,
        planned=run.plan.episode_count,
        outcomes={outcome: sum(counts.get(outcome, 0) for counts in stored.values()) for outcome in OUTCOMES},
        seconds=seconds,
        spent=spent,
        cost_usd=None if None in costs else spent.cost_usd,
        budget=run.config.budget,
        budget_reached=(run.context.used_up and bool(run.pending.episode_count)) or stopped > 0,
        unpriced=_unpriced(run.plan),
        rows=tuple(rows),
        problems=tuple((count, kind, text) for (kind, text), count in problems.most_common()),
        faults=faults,
        notices=notices,
        complete=all(
            stored.get(cell, {}).get("scored", 0) >= run.config.coverage * planned
            for cell, planned in run.plan.planned.items()
        ),
    )


def read_notices(run: PreparedRun) -> tuple[str, ...]:
    """Reads the stored episodes of a run; returns its lines about models with unusable replies."""
    from muses_eval.storage.analysis.leaderboard import leaderboard
    from muses_eval.storage.query.resilient_query import resilient_query

    def results(connection: "DuckDBPyConnection") -> tuple[str, ...]:
        rows = leaderboard(connection, run_id=run.plan.run_id, max_unusable=run.config.max_unusable)
        return _notices(connection, run, rows)

    return resilient_query(run.store.url, results, run.plan.run_id).value


def _notices(connection: "DuckDBPyConnection", run: PreparedRun, rows: "Sequence[LeaderboardRow]") -> tuple[str, ...]:
    from muses_eval.storage.runs.unusable_examples import unusable_examples

    if not any(row.unusable_share for row in rows):
        return ()
    return tuple(unusable_notices(rows, unusable_examples(connection, run.plan.run_id), run.store.url))


def fault_lines(faults: "Iterable[AgentFaults]") -> list[str]:
    """Describes the failures of agents, one line per entry and kind."""
    return [
        f"{each.entry}: {count} of {each.episodes} episodes ({count / each.episodes:.0%}) {text}"
        for each in faults
        for count, text in (
            (each.errors, "have an error of the agent (agent_error); `muses trace` shows what happened"),
            (each.blocked, "delayed other episodes by blocking the event loop (agent_blocked)"),
        )
        if count
    ]


def _unpriced(plan: Plan) -> tuple[str, ...]:
    """Returns the models of a plan whose calls have an unknown cost."""
    agents = [cell.model for cell in plan.cells]
    users = users_model(plan)
    return tuple(dict.fromkeys(model.name for model in (*agents, users) if model and prices_of(model) is None))
