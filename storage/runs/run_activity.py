"""What the driver of a run is doing, as it reports it in the run lock; for display."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunActivity:
    """Progress beyond what is stored."""

    playing: int
    """Number of episodes that have started and are not stored yet."""
    left_s: float | None
    """Estimated seconds until the run is played; None when it is unknown."""


def read_activity(value: object) -> RunActivity | None:
    """Returns the activity in a JSON value; None when it is missing or malformed, since a lock stays valid."""
    if not isinstance(value, Mapping):
        return None
    playing, left_s = value.get("playing"), value.get("left_s")
    if not isinstance(playing, int) or not isinstance(left_s, int | float | None):
        return None
    return RunActivity(playing=playing, left_s=None if left_s is None else float(left_s))
