"""Decides how many replicas a model needs for its load."""

from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.workers.vllm.server_load import ServerLoad


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """When replicas are added and removed, within the bounds of a model."""

    busy_requests: int = 32
    """Requests in flight for each replica above which a replica is added; so is one when requests wait for an
    engine."""
    busy_s: float = 20.0
    """Seconds of uninterrupted load after which a replica is added."""
    idle_s: float = 120.0
    """Seconds after which a replica is removed, when half of ``busy_requests`` on each of the others would do."""


class Autoscaler:
    """Decides the number of replicas of one model.  Adds or removes one at a time."""

    def __init__(self, min_replicas: int, max_replicas: int, rules: ScalingRules) -> None:
        self._min, self._max, self._rules = min_replicas, max_replicas, rules
        self._busy_since: float | None = None
        self._idle_since: float | None = None

    def wanted(self, replicas: int, loads: Sequence[ServerLoad], now: float) -> int:
        """Returns the wanted number of replicas.  Nothing changes while some of them are not ready.

        Args:
            replicas: their present number.
            loads: of the replicas that are ready.
            now: seconds on any monotonic clock.
        """
        all_ready = len(loads) == replicas
        in_flight = sum(load.in_flight for load in loads)
        full = in_flight > self._rules.busy_requests * len(loads) or any(load.waiting for load in loads)
        spare = in_flight <= self._rules.busy_requests / 2 * (replicas - 1)
        self._busy_since = _since(self._busy_since, all_ready and full and replicas < self._max, now)
        self._idle_since = _since(self._idle_since, all_ready and spare and not full and replicas > self._min, now)
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
