"""Whose budget a call draws on, and what a client asks of a limit."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pipeline.config.endpoint import Endpoint, Limits


class Account(NamedTuple):
    """Whose budget a call draws on."""

    where: tuple[str, ...]
    """The name that the config gives, or the addresses."""
    api_key_env: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Account":
        """The account of an endpoint; a named one is the same behind all addresses."""
        return cls((endpoint.account,) if endpoint.account else endpoint.base_urls, endpoint.api_key_env)

    @property
    def name(self) -> str:
        """For people."""
        where = ", ".join(self.where) or "own servers"
        return where if self.api_key_env is None else f"{where} ({self.api_key_env})"


def disagreements(endpoints: Iterable[Endpoint]) -> list[str]:
    """A line for every limit of an account that its endpoints declare differently; the smallest one holds."""
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
class TryEnd:
    """How one try of a call ended, as far as limits care."""

    kind: Literal["answered", "refused", "failed"]
    """``refused``: by a limit of the provider (429).  ``failed``: timeouts, broken connections, 5xx."""
    tokens: int | None = None
    """Prompt and completion; None when the provider did not say."""
    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the response; providers tell their limits there.  Looked up in lower case."""
    problem: str | None = None
    """Why it was no answer, in a line for people."""


class Slot(Protocol):
    """One try under way."""

    def ended(self, end: TryEnd) -> None:
        """Says how it ended, once.  A slot that was given back without a word was abandoned: nobody learns from it."""
        ...


class Limit(Protocol):
    """Says when one try of a call may start."""

    def slot(self, tokens: int) -> AbstractAsyncContextManager[Slot]:
        """Waits for a slot on entering, gives it back on leaving, however the try ends.

        *tokens*: how many the try will take, prompt and completion, as far as one can tell before.
        """
        ...
