"""The pace of a run in progress: which shards have started and ended when, and what follows for the time left.

Progress lines, the progress bar, the Live page and ``muses flow status`` all show the estimate that is made here.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from muses_eval.pipeline.plan.plan import Cell
from muses_eval.pipeline.plan.time_left import CellPace, estimate_time_left, typical_episode_s
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.limits.account import Account

RECENT_SHARDS = 16
"""Number of stored shards of a cell that its speed is averaged over."""
_NEW_WEIGHT = 0.1
"""Weight of a new status in the moving averages."""


@dataclass(slots=True)
class _Cell:
    """One model in one family."""

    group: str
    family: str
    account: str | None
    typical_s: float
    shard_size: int
    """Episodes of the largest shard."""
    pending: int = 0
    """Number of episodes that have not started."""
    started: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Number of a shard in flight -> time of its start, and its episodes."""
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_SHARDS))

    def at(self, now: float) -> CellPace:
        return CellPace(
            group=self.group,
            family=self.family,
            account=self.account,
            pending=math.ceil(self.pending / self.shard_size),
            recent_s=tuple(self.recent_s),
            ages_s=tuple(now - since for since, _ in self.started.values()),
            typical_s=self.typical_s,
        )


@dataclass(slots=True)
class _AccountUse:
    """Moving averages over the status of an account."""

    saturated: float = 0.0
    """Share of the time in which calls waited for a permit."""
    places: float = 0.0
    """Number of the run's shards in flight that use the account."""


class RunPace:
    """Collects the events of one run; used from its event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* returns seconds."""
        self._clock = clock
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._accounts: dict[str, _AccountUse] = {}
        self._places = 0
        self.is_paused = False
        """True while no shard starts because a person has paused the run."""

    @property
    def playing(self) -> int:
        """Number of episodes in the shards in flight."""
        return sum(episodes for cell in self._cells.values() for _, episodes in cell.started.values())

    @property
    def shards_in_flight(self) -> int:
        """Number of shards in flight."""
        return sum(len(cell.started) for cell in self._cells.values())

    def expect(self, run_id: str, cells: Iterable[Cell]) -> None:
        """Sets what is to be played."""
        for cell in cells:
            endpoint = cell.model.endpoint
            known = self._cells.setdefault(
                (cell.slug, cell.family),
                _Cell(
                    group=f"{run_id}/{cell.slug}",
                    family=cell.family,
                    account=None if endpoint is None else Account.of(endpoint).name,
                    typical_s=typical_episode_s(cell.family),
                    shard_size=1,
                ),
            )
            known.pending += cell.episode_count
            known.shard_size = max([known.shard_size, *(len(shard.episodes) for shard in cell.shards)])

    def started(self, key: ShardKey, episodes: int) -> None:
        """Notes that a shard has started; once more when its worker died."""
        cell = self._cells.get((key.model, key.family))
        if cell is not None:
            if key.number not in cell.started:
                cell.pending = max(0, cell.pending - episodes)
            cell.started[key.number] = (self._clock(), episodes)
            self._places = max(self._places, self.shards_in_flight)

    def ended(self, key: ShardKey, *, stored: bool) -> None:
        """Notes that a shard is stored, or that it was given up and is pending again."""
        cell = self._cells.get((key.model, key.family))
        found = None if cell is None else cell.started.pop(key.number, None)
        if cell is not None and found is not None:
            if stored:
                cell.recent_s.append(self._clock() - found[0])
            else:
                cell.pending += found[1]

    def status(self, snapshot: LimitsSnapshot) -> None:
        """Notes which accounts are at their limits."""
        for status in snapshot.accounts:
            use = self._accounts.setdefault(status.name, _AccountUse())
            places = sum(len(cell.started) for cell in self._cells.values() if cell.account == status.name)
            use.saturated += _NEW_WEIGHT * ((status.waiting > 0) - use.saturated)
            use.places += _NEW_WEIGHT * (places - use.places) if use.places else places

    def cells(self) -> list[CellPace]:
        """Returns the pace of every cell."""
        now = self._clock()
        return [cell.at(now) for cell in self._cells.values()]

    @property
    def most_in_flight(self) -> int:
        """Largest number of shards that were in flight at one time."""
        return self._places

    @property
    def account_places(self) -> dict[str, int]:
        """Accounts at their limit -> number of shards in flight that use it up."""
        return {name: max(1, round(use.places)) for name, use in self._accounts.items() if use.saturated > 0.5}

    def time_left(self) -> float | None:
        """Returns the seconds until the run is played; None while no shard is stored."""
        return joint_time_left([self])


def joint_time_left(paces: Sequence[RunPace]) -> float | None:
    """Returns the seconds until several runs on one executor are played; None while no shard is stored."""
    limits = {name: places for pace in paces for name, places in pace.account_places.items()}
    places = max([sum(pace.shards_in_flight for pace in paces), *(pace.most_in_flight for pace in paces)])
    return estimate_time_left([cell for pace in paces for cell in pace.cells()], places, limits)
