"""How busy a server is, from what it says of itself; whether it gets on; and how many servers that calls for."""

from collections.abc import Sequence
from dataclasses import dataclass

_PROGRESS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:iteration_tokens_total_count")
_WAITING = "vllm:num_requests_waiting"


@dataclass(frozen=True, slots=True)
class Load:
    """One look at a server."""

    in_flight: int = 0
    """Requests that it has taken and not answered."""
    waiting: int = 0
    """Requests that wait because the engine has no room for them yet."""
    progress: float | None = None
    """Grows with everything that the engine does; None: the server does not say."""


def read_load(server_load: int, metrics: str) -> Load:
    """From ``GET /load`` and ``GET /metrics``."""
    totals: dict[str, float] = {}
    for line in metrics.splitlines():
        if line.startswith("vllm:"):
            sample, _, value = line.rpartition(" ")
            name = sample.partition("{")[0]
            totals[name] = totals.get(name, 0.0) + _number(value)
    progress = [totals[name] for name in _PROGRESS if name in totals]
    return Load(server_load, int(totals.get(_WAITING, 0)), sum(progress) if progress else None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Pulse:
    """Knows since when a server has requests and gets nothing done: its health page cannot tell."""

    def __init__(self) -> None:
        self._progress: float | None = None
        self._since: float | None = None

    def stuck_for(self, load: Load, now: float) -> float:
        """Seconds; 0 for a server that works or has nothing to do."""
        moved = load.progress is None or load.progress != self._progress
        if moved or not load.in_flight or self._since is None:
            self._progress, self._since = load.progress, now
        return now - self._since


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """When replicas are added and taken away, between the least and the most of a model."""

    busy_requests: int = 32
    """In flight a replica; more call for another one, and so do requests that wait for an engine."""
    busy_s: float = 20.0
    """So long in a row, and one is added."""
    idle_s: float = 120.0
    """So long would half of ``busy_requests`` on fewer replicas do, and one is taken away."""


class Scaler:
    """Decides how many replicas a model should have.  It adds or takes away one at a time."""

    def __init__(self, least: int, most: int, rules: ScalingRules) -> None:
        self._least, self._most, self._rules = least, most, rules
        self._busy_since: float | None = None
        self._idle_since: float | None = None

    def wanted(self, replicas: int, loads: Sequence[Load], now: float) -> int:
        """*loads*: of the replicas that are ready.  While some are not, none is added or taken away."""
        settled = len(loads) == replicas
        in_flight = sum(load.in_flight for load in loads)
        full = in_flight > self._rules.busy_requests * len(loads) or any(load.waiting for load in loads)
        spare = in_flight <= self._rules.busy_requests / 2 * (replicas - 1)
        self._busy_since = _since(self._busy_since, settled and full and replicas < self._most, now)
        self._idle_since = _since(self._idle_since, settled and spare and not full and replicas > self._least, now)
        if self._busy_since is not None and now - self._busy_since >= self._rules.busy_s:
            self._busy_since = None
            return replicas + 1
        if self._idle_since is not None and now - self._idle_since >= self._rules.idle_s:
            self._idle_since = None
            return replicas - 1
        return replicas


def _since(before: float | None, holds: bool, now: float) -> float | None:
    if not holds:
        return None
    return now if before is None else before
