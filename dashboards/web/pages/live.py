"""The runs in progress: progress by model and family, cost, and estimated time left.

Everything is read from the store; the page does not connect to the driver.  Only stored episodes count, so progress
lags behind by the shards in flight.  The driver writes the state of its provider accounts, its estimate of the time
left and the number of episodes in flight to its run lock every two seconds.  There it also reads what a person asks
for, so a visitor who has signed in can pause, resume and stop a run from this page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from muses_eval.dashboards.web.model_styles import model_styles
from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.store_cache import RunInProgress, StoreCache
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.errors import MusesError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.run_lock import HEARTBEAT
from muses_eval.storage.runs.run_wish import COMMANDS, send_command

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RunState = Literal["preparing", "playing", "pausing", "paused", "stopping", "stalled"]
WINDOW = timedelta(minutes=10)
"""Time over which the rate is measured; less when the run was locked more recently."""
_CELL_PROGRESS = """
WITH planned AS (
    SELECT cell.model, cell.family, cell.episodes AS planned
    FROM (SELECT unnest(planned) AS cell FROM runs WHERE run_id = $run)
),
played AS (
    SELECT model, family, histogram(outcome) AS outcomes, sum(cost_usd) AS cost_usd,
        count(*) FILTER (cost_usd IS NULL) AS unknown_costs,
        count(*) FILTER (started_at + to_seconds(seconds) > $since) AS recent
    FROM episodes WHERE run_id = $run GROUP BY ALL
)
SELECT model, family, coalesce(planned, 0), outcomes, cost_usd, coalesce(unknown_costs, 0), coalesce(recent, 0)
FROM planned FULL JOIN played USING (model, family) ORDER BY model, family
"""


@dataclass(frozen=True, slots=True)
class CellProgress:
    """One model in one family."""

    model: str
    family: str
    planned: int
    outcomes: Mapping[str, int]
    cost_usd: float | None
    """Sum of the known costs; None when none is known."""
    unknown_costs: int
    recent: int
    """Number of episodes that ended within WINDOW."""

    @property
    def played(self) -> int:
        """Number of stored episodes, whatever their outcome."""
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Progress of one run."""

    run: RunInProgress
    cells: tuple[CellProgress, ...]
    episodes_per_minute: float
    """Stored episodes per minute, over WINDOW."""
    is_stalled: bool
    """True when the holder's heartbeat has stopped, so another process may take the run lock."""
    cap_usd: float | None
    """Budget of the whole run; None without a budget."""

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
    def left_s(self) -> float | None:
        """Seconds until the run is played, as its driver estimates; None when it is unknown or the run is stalled."""
        activity = self.run.activity
        return None if self.is_stalled or activity is None else activity.left_s

    @property
    def in_flight(self) -> int:
        """Number of episodes that have started and are not stored yet; 0 when the run is stalled."""
        activity = self.run.activity
        return 0 if self.is_stalled or activity is None else activity.playing

    @property
    def state(self) -> RunState:
        """What the run does, or is about to do."""
        if self.is_stalled:
            return "stalled"
        if self.run.wish == "stop":
            return "stopping"
        if self.run.wish == "pause":
            return "pausing" if self.in_flight else "paused"
        return "preparing" if self.run.activity is None else "playing"

    @property
    def accounts(self) -> tuple[AccountState, ...]:
        """State of the provider accounts; empty when the run is stalled."""
        return () if self.is_stalled else self.run.accounts

    @property
    def refused_share(self) -> float | None:
        """Share of recent calls to all accounts that were refused by a rate limit; None without calls."""
        calls = sum(account.calls_per_s for account in self.accounts)
        refused = sum(account.calls_per_s * account.refused_share for account in self.accounts)
        return refused / calls if calls else None


def live_page(cache: StoreCache, request: PageRequest, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Page:
    """Returns the page of all runs in progress.

    A posted form has the fields ``run`` and ``command`` (pause, resume or stop).  The query parameter ``stop`` names a
    run that the visitor is asked to confirm the stop of.
    """
    problem = None if request.form is None else _steer(cache, request.form, signed_in=request.signed_in)
    found = [run_progress(cache, run, now()) for run in cache.runs_in_progress()]
    asked = request.query_params.get("stop")
    stopping = next((each.run.run_id for each in found if each.run.run_id == asked and not each.is_stalled), None)
    values = {"runs": found, "outcomes": OUTCOMES, "styles": model_styles(cache.runs())}
    return Page(
        "Live",
        "live.html",
        {**values, "problem": problem, "confirm_stop": stopping},
        is_done=request.form is not None and problem is None,
    )


def _steer(cache: StoreCache, form: Mapping[str, str], *, signed_in: bool) -> str | None:
    """Sends the command of a form to the run that it names; returns why it did not, or None."""
    run_id, command = form.get("run", ""), form.get("command", "")
    if not signed_in:
        return "runs can be paused, resumed and stopped only on a server with a token; use `muses pause`, or set one"
    if command not in COMMANDS:
        return f"{command!r} is no command; expected {', '.join(COMMANDS)}"
    if run_id not in {run.run_id for run in cache.runs_in_progress()}:
        return f"the run {run_id!r} is not in progress; only a run in progress can be paused or stopped"
    try:
        send_command(open_store(cache.store_url), run_id, command)
    except MusesError as error:
        return str(error)
    return None


def run_progress(cache: StoreCache, run: RunInProgress, now: datetime) -> RunProgress:
    """Returns the progress of a run at the time *now*."""
    since = max(now - WINDOW, _parsed_start(run.since, now))

    def cells(connection: "DuckDBPyConnection") -> tuple[CellProgress, ...]:
        rows: list[tuple[Any, ...]] = connection.execute(_CELL_PROGRESS, {"run": run.run_id, "since": since}).fetchall()
        return tuple(CellProgress(row[0], row[1], row[2], row[3] or {}, *row[4:]) for row in rows)

    found = cache.query(cells, run.run_id)
    seconds = max((now - since).total_seconds(), 1.0)
    recent = sum(cell.recent for cell in found)
    return RunProgress(
        run=run,
        cells=found,
        episodes_per_minute=60 * recent / seconds,
        is_stalled=run.silent_s > HEARTBEAT.timeout_s,
        cap_usd=_cap_usd(cache, run.run_id),
    )


def _cap_usd(cache: StoreCache, run_id: str) -> float | None:
    """Returns the budget in the run's manifest, that of its first start; a later start may have raised it."""
    budget = next((run.manifest.config.get("budget") for run in cache.runs() if run.run_id == run_id), None)
    usd = budget.get("usd") if isinstance(budget, Mapping) else None
    return float(usd) if isinstance(usd, (int, float)) else None


def _parsed_start(text: str, now: datetime) -> datetime:
    try:
        started = datetime.fromisoformat(text)
    except ValueError:  # the lock may have been written by another version
        return now - WINDOW
    return started if started.tzinfo is not None and started < now else now - WINDOW
