"""The account whose limits a call uses, and the interface of a limiter."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from muses_eval.pipeline.config.endpoint import Endpoint, Limits


class Account(NamedTuple):
    """A provider account; its limits are shared by all calls that use it."""

    identity: tuple[str, ...]
    """The account name from the config; without one, the addresses."""
    api_key_env: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Account":
        """Returns the account of an endpoint; a named account is the same behind all addresses."""
        return cls((endpoint.account,) if endpoint.account else endpoint.base_urls, endpoint.api_key_env)

    @property
    def name(self) -> str:
        """Name of the account in messages and tables."""
        name = ", ".join(self.identity) or "own servers"
        return name if self.api_key_env is None else f"{name} ({self.api_key_env})"


def limit_conflicts(endpoints: Iterable[Endpoint]) -> list[str]:
    """Returns a message for every limit that endpoints of one account declare differently; the smallest one holds."""
    by_account: dict[Account, list[Limits]] = {}
    for endpoint in endpoints:
        by_account.setdefault(Account.of(endpoint), []).append(endpoint.limits)
    return [
        f"models of the account {account.name} declare different limits, and the smallest holds: "
        f"{field} {', '.join(f'{value:g}' for value in sorted(values))}"
        for account, several in by_account.items()
        for field, name in _CONFIG_KEYS.items()
        if len(values := {value for limits in several if (value := getattr(limits, name)) is not None}) > 1
    ]


_CONFIG_KEYS = {
    "requests_per_minute": "requests_per_minute",
    "tokens_per_minute": "tokens_per_minute",
    "max_concurrency": "concurrency",
}


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of one attempt of a call, as far as limits are concerned."""

    kind: Literal["answered", "refused", "failed"]
    """``refused``: refused by a limit of the provider (429).  ``failed``: a timeout, a broken connection, or 5xx."""
    tokens: int | None = None
    """Prompt and completion tokens; None when the provider did not report them."""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, in which providers report their limits; looked up in lower case."""
    problem: str | None = None
    """Reason why the attempt was not answered, in one line for people."""


class Permit(Protocol):
    """Permission for one attempt that is under way."""

    def record(self, outcome: AttemptOutcome) -> None:
        """Records the outcome of the attempt, once.  Nothing is learned from a permit that is returned without one."""
        ...


class Limiter(Protocol):
    """Decides when one attempt of a call may start."""

    def permit(self, tokens: int) -> AbstractAsyncContextManager[Permit]:
        """Waits for a permit on entering and gives it back on leaving, however the attempt ends.

        *tokens*: expected prompt and completion tokens of the attempt; 0 when unknown.
        """
        ...
