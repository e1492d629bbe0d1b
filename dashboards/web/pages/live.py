"""What is being played now: progress by model and family, what it has cost, and when it will be done.

All of it is read from the store, so it needs no way to the driver.  Episodes are those that are stored: they lag behind
by the shards that are still being played.  How the accounts stand, calls against limits, the driver says with its claim
every two seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from muses_eval.dashboards.web.page import Ask, Page
from muses_eval.dashboards.web.store_cache import RunInProgress, StoreCache
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.run_lock import PACE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WINDOW = timedelta(minutes=10)
"""The rate is that of the last so many minutes, or of the time since the run was claimed if that is less."""
_CELLS = """
WITH planned AS (
    SELECT cell.model, cell.family, cell.episodes AS planned
    FROM (SELECT unnest(planned) AS cell FROM runs WHERE run_id = $run)
),
played AS (
    SELECT model, family, histogram(outcome) AS outcomes, sum(cost_usd) AS cost_usd,
        count(*) FILTER (cost_usd IS NULL) AS unknown_costs,
        count(*) FILTER (started_at + to_seconds(seconds) > $since) AS lately
    FROM episodes WHERE run_id = $run GROUP BY ALL
)
SELECT model, family, coalesce(planned, 0), outcomes, cost_usd, coalesce(unknown_costs, 0), coalesce(lately, 0)
FROM planned FULL JOIN played USING (model, family) ORDER BY model, family
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One model in one family."""

    model: str
    family: str
    planned: int
    outcomes: Mapping[str, int]
    cost_usd: float | None
    """What is known of it."""
    unknown_costs: int
    lately: int
    """Episodes that ended within the window."""

    @property
    def played(self) -> int:
        """Whatever came of them."""
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """One run that is being worked on."""

    work: RunInProgress
    cells: tuple[Cell, ...]
    per_minute: float
    """Episodes, of late."""
    left_s: float | None
    """Until the plan is played, at this rate; None: nothing ended of late, or nothing is left."""
    stands_still: bool
    """Whether another process may take the run over."""
    cap_usd: float | None
    """What the whole run may cost; None: no cap."""

    @property
    def played(self) -> int:
        return sum(cell.played for cell in self.cells)

    @property
    def planned(self) -> int:
        return sum(cell.planned for cell in self.cells)

    @property
    def cost_usd(self) -> float:
        return sum(cell.cost_usd or 0.0 for cell in self.cells)

    @property
    def unknown_costs(self) -> int:
        return sum(cell.unknown_costs for cell in self.cells)

    @property
    def accounts(self) -> tuple[AccountState, ...]:
        """None of a holder that has gone silent."""
        return () if self.stands_still else self.work.accounts

    @property
    def refused_share(self) -> float | None:
        """Share of the recent attempts of all accounts that were refused; None when there were none."""
        calls = sum(account.calls_per_s for account in self.accounts)
        refused = sum(account.calls_per_s * account.refused_share for account in self.accounts)
        return refused / calls if calls else None


def live_page(cache: StoreCache, ask: Ask, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Page:  # noqa: ARG001
    """All runs that are claimed."""
    found = [progress(cache, work, now()) for work in cache.runs_in_progress()]
    return Page("Live", "live.html", {"runs": found, "outcomes": OUTCOMES})


def progress(cache: StoreCache, work: RunInProgress, now: datetime) -> Progress:
    """How far a run is."""
    since = max(now - WINDOW, _started(work.since, now))

    def cells(connection: "DuckDBPyConnection") -> tuple[Cell, ...]:
        rows: list[tuple[Any, ...]] = connection.execute(_CELLS, {"run": work.run_id, "since": since}).fetchall()
        return tuple(Cell(row[0], row[1], row[2], row[3] or {}, *row[4:]) for row in rows)

    found = cache.query(cells, work.run_id)
    seconds = max((now - since).total_seconds(), 1.0)
    lately = sum(cell.lately for cell in found)
    owed = sum(max(0, cell.planned - cell.played) for cell in found)
    left_s = owed * seconds / lately if lately and owed else None
    return Progress(
        work=work,
        cells=found,
        per_minute=60 * lately / seconds,
        left_s=left_s,
        stands_still=work.silent_s > PACE.dead_after_s,
        cap_usd=_cap(cache, work.run_id),
    )


def _cap(cache: StoreCache, run_id: str) -> float | None:
    """As the run was configured when it was first started; a later start may have raised it."""
    budget = next((run.manifest.config.get("budget") for run in cache.runs() if run.run_id == run_id), None)
    usd = budget.get("usd") if isinstance(budget, Mapping) else None
    return float(usd) if isinstance(usd, (int, float)) else None


def _started(text: str, now: datetime) -> datetime:
    try:
        started = datetime.fromisoformat(text)
    except ValueError:  # a claim is read as others wrote it
        return now - WINDOW
    return started if started.tzinfo is not None and started < now else now - WINDOW
