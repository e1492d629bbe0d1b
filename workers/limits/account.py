"""The account whose limits a call uses, and the interface of a limiter."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from muses_eval.pipeline.config.endpoint import Endpoint, Limits


class Account(NamedTuple):
    """A provider account; its limits are shared by all calls that use it."""

    where: tuple[str, ...]
    """The account name from the config, or else the addresses."""
    api_key_env: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Account":
        """Returns the account of an endpoint; a named account is the same behind all addresses."""
        return cls((endpoint.account,) if endpoint.account else endpoint.base_urls, endpoint.api_key_env)

    @property
    def name(self) -> str:
        """The account in words, for messages and tables."""
        where = ", ".join(self.where) or "own servers"
        return where if self.api_key_env is None else f"{where} ({self.api_key_env})"


def disagreements(endpoints: Iterable[Endpoint]) -> list[str]:
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
    """How one attempt of a call ended, as far as limits are concerned."""

    kind: Literal["answered", "refused", "failed"]
    """``refused``: by a limit of the provider (429).  ``failed``: a timeout, a broken connection, or 5xx."""
    tokens: int | None = None
    """Prompt and completion tokens; None when the provider did not report them."""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers, in which providers report their limits.  Looked up in lower case."""
    problem: str | None = None
    """Why the attempt was not answered, in one line for people."""


class Permit(Protocol):
    """Permission for one attempt that is under way."""

    def ended(self, end: AttemptOutcome) -> None:
        """Records how the attempt ended, once.  A permit returned without an outcome teaches nothing."""
        ...


class Limiter(Protocol):
    """Decides when one attempt of a call may start."""

    def permit(self, tokens: int) -> AbstractAsyncContextManager[Permit]:
        """Waits for a permit on entering and gives it back on leaving, however the attempt ends.

        *tokens*: the expected prompt and completion tokens of the attempt; 0: unknown.
        """
        ...
