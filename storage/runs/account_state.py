"""How an account stands that a run calls, as its driver tells it with its claim; for people, never for decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Rates and shares are over the last ten seconds."""

    name: str
    calls_per_s: float
    tokens_per_s: float
    refused_share: float
    """Share of the finished attempts that were refused."""
    failed_share: float
    requests_per_minute: float | None
    """The bound in force; None: none."""
    tokens_per_minute: float | None
    concurrency: float | None
    in_flight: float
    waiting: float
    paused_s: float
    """How long nothing may start yet."""
    problem: str | None
    """The last refusal or failure."""


def read_accounts(values: object) -> tuple[AccountState, ...]:
    """Those of a JSON value; none of what is something else, since a claim holds whatever is said with it."""
    try:
        return tuple(map(_read, values))  # type: ignore[call-overload]  # what is no list raises
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def read_links(value: object) -> dict[str, str]:
    """Name -> address, of a JSON value; likewise."""
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
