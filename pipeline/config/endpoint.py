"""The endpoint of a model and the limits of its account."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a provider's account, shared by all workers and runs.  A limit of None is learned from refusals."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""
    concurrency: int | None = None
    """Calls in flight."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Addresses, key, timeout and retries of a model.  None of these affects the model's replies."""

    base_urls: tuple[str, ...]
    """Addresses of servers of the same model, up to the version, such as ``http://127.0.0.1:8000/v1``.  Empty when this
    project starts the servers."""
    api_key_env: str | None = None
    """Name of the environment variable with the key; None sends no key."""
    timeout_s: float = 120.0
    """Timeout of one attempt of a call."""
    max_retries: int = 5
    limits: Limits = Limits()
    account: str | None = None
    """Name of the account, whose models share its limits; None derives it from the addresses and the key's name."""


def address_problem(base_url: str) -> str | None:
    """Returns why *base_url* is not a valid server address, or None when it is valid."""
    if any(mark in base_url for mark in "@?#"):
        # The value is not shown: it probably contains a secret, and a config is stored with its run.
        return (
            "base_url contains more than an address and a path; put keys into an environment variable and name it in "
            "api_key_env"
        )
    if not _is_address(base_url):
        return f"base_url is {base_url!r}; expected an address with its version, such as http://127.0.0.1:8000/v1"
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        return False
