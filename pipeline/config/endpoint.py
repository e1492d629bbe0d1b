"""Where a model answers, and what its provider allows."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider's account allows, over all workers and runs together.  None: not known, so it is learned."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""
    concurrency: int | None = None
    """Calls in flight."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers, and how patient we are with it.  Nothing here changes what a model says."""

    base_urls: tuple[str, ...]
    """Servers of the same model, each up to and including the version, as ``http://127.0.0.1:8000/v1``.  Empty: those
    that this project starts."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None: no key is sent."""
    timeout_s: float = 120.0
    """For one try of one call."""
    max_retries: int = 5
    limits: Limits = Limits()
    account: str | None = None
    """Models of one account share its limits; None: the servers' addresses and the key's name tell."""


def address_problem(base_url: str) -> str | None:
    """What keeps *base_url* from being a server's address; None: it is one."""
    if any(mark in base_url for mark in "@?#"):
        # Not shown: what stands there is likely a secret, and a config is stored with its run.
        return (
            "base_url holds more than an address and a path; put keys into an environment variable and name it in "
            "api_key_env"
        )
    if not _is_address(base_url):
        return f"base_url is {base_url!r}; expected an address with its version, as http://127.0.0.1:8000/v1"
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False
