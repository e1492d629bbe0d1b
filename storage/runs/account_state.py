"""The state of a provider account that a run uses, as its driver reports it in the run lock; for display only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Calls, limits and problems of one account; rates and shares are over the last ten seconds."""

    name: str
    calls_per_s: float
    tokens_per_s: float
    refused_share: float
    """Share of the finished attempts that the provider refused."""
    failed_share: float
    requests_per_minute: float | None
    """Limit in force; None for no limit."""
    tokens_per_minute: float | None
    concurrency: float | None
    in_flight: float
    waiting: float
    paused_s: float
    """Remaining time of a pause, in which no call may start."""
    problem: str | None
    """Last refusal or failure; None when there was none."""


def read_accounts(values: object) -> tuple[AccountState, ...]:
    """Returns the account states in a JSON value; none when it is malformed, since a lock stays valid."""
    try:
        return tuple(map(_read, values))  # type: ignore[call-overload]  # raises for anything but a list
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def read_links(value: object) -> dict[str, str]:
    """Returns name -> address, from a JSON value; malformed entries are ignored."""
    return {name: url for name, url in value.items() if isinstance(url, str)} if isinstance(value, dict) else {}


def _read(value: Mapping[str, Any]) -> AccountState:
    return AccountState(
        name=str(value["name"]),
        calls_per_s=float(value["calls_per_s"]),
        tokens_per_s=float(value["tokens_per_s"]),
        refused_share=float(value["refused_share"]),
        failed_share=float(value["failed_share"]),
        requests_per_minute=_number(value.get("requests_per_minute")),
        tokens_per_minute=_number(value.get("tokens_per_minute")),
        concurrency=_number(value.get("concurrency")),
        in_flight=float(value["in_flight"]),
        waiting=float(value["waiting"]),
        paused_s=float(value["paused_s"]),
        problem=None if value.get("problem") is None else str(value["problem"]),
    )


def _number(value: Any) -> float | None:  # noqa: ANN401 - JSON
    return None if value is None else float(value)
