"""The faults of a run's agents: episodes in which the agent itself, not its model, failed."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True, slots=True)
class AgentFaults:
    """Number of episodes of one entry in which its agent failed."""

    entry: str
    """Name on the leaderboard."""
    episodes: int
    """Number of scored episodes."""
    errors: int
    """Episodes with the flag ``agent_error``: an exception, a time-out, or a reply of the wrong shape."""
    blocked: int
    """Episodes with the flag ``agent_blocked``: the agent blocked the event loop of its worker."""


def agent_faults(connection: duckdb.DuckDBPyConnection, run_id: str) -> tuple[AgentFaults, ...]:
    """Returns the entries of a run whose agents failed in any episode, the most frequent errors first."""
    rows = connection.execute(
        """
        SELECT * FROM (
            SELECT model, count(*) AS episodes,
                count(*) FILTER (list_contains(flags, 'agent_error')) AS errors,
                count(*) FILTER (list_contains(flags, 'agent_blocked')) AS blocked
            FROM episodes WHERE run_id = $1 AND outcome = 'scored' GROUP BY model)
        WHERE errors > 0 OR blocked > 0 ORDER BY errors DESC, blocked DESC, model
        """,
        [run_id],
    ).fetchall()
    return tuple(AgentFaults(*row) for row in rows)


def total_by_entry(faults: Iterable[AgentFaults]) -> tuple[AgentFaults, ...]:
    """Returns the sums of several runs, one value per entry, the most frequent errors first."""
    totals: dict[str, AgentFaults] = {}
    for each in faults:
        known = totals.get(each.entry, AgentFaults(each.entry, 0, 0, 0))
        totals[each.entry] = AgentFaults(
            each.entry, known.episodes + each.episodes, known.errors + each.errors, known.blocked + each.blocked
        )
    return tuple(sorted(totals.values(), key=lambda each: (-each.errors, -each.blocked, each.entry)))
