"""The endpoint of a model and the limits of its account."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_REQUEST = re.compile(
    r"(?P<base>https?://[^@?#]+?)/*"
    r"(?P<path>/(?:chat/completions|completions|messages|responses|embeddings))?/?"
    r"(?:\?api-version=(?P<version>[A-Za-z0-9.-]{1,40}))?",
    re.IGNORECASE,
)
"""The address of a request instead of that of the API."""
_LONGEST = 2000
"""Longest address that is compared with it."""
_OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept", "accept-encoding"}
)


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
    """Addresses, keys, timeout and retries of a model.  None of these affects the model's replies."""

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
    headers: tuple[tuple[str, str], ...] = ()
    """Names of further headers, each with the name of the environment variable that has its value."""
    stream: bool = False
    """True to request a stream of events, for servers that only stream."""
    api_version: str | None = None
    """Azure's version of the API, which selects its form of requests; None for all other servers."""


def address_problem(base_url: str) -> str | None:
    """Returns why *base_url* is not a valid server address, or None when it is valid."""
    if form := _better_form(base_url):
        return form
    if any(mark in base_url for mark in "@?#"):
        # The value is not shown: it probably contains a secret, and a config is stored with its run.
        return (
            "base_url contains more than an address and a path; put keys into an environment variable and name it in "
            "api_key_env"
        )
    if not _is_address(base_url):
        return f"base_url is {base_url!r}; expected an address with its version, such as http://127.0.0.1:8000/v1"
    return None


def _better_form(base_url: str) -> str | None:
    """Returns what to write instead of the address of a request; None when *base_url* is no such address."""
    address = _REQUEST.fullmatch(base_url) if len(base_url) <= _LONGEST else None
    if address is None or not (address["path"] or address["version"]):
        return None
    extra = " and ".join(filter(None, (address["path"], address["version"] and f"?api-version={address['version']}")))
    version = f', and api_version: "{address["version"]}" beside it' if address["version"] else ""
    instead = f"write base_url: {address['base']}{version}"
    return f"base_url ends with {extra}, which is part of single requests; {instead}"


def variable_problem(key: str, value: str, example: str) -> str | None:
    """Returns why *value*, at *key* of a config, is no name of an environment variable; None when it is one."""
    if _VARIABLE.fullmatch(value):
        return None
    return (
        f"{key} must be the name of an environment variable, such as {example}; the value is not such a name (it is "
        "not shown here, because it may be the key itself)"
    )


def header_problem(name: str) -> str | None:
    """Returns why a config cannot set the header *name*, or None when it can."""
    if not _HEADER.fullmatch(name):
        return "a name is no name of an HTTP header, such as X-Gateway-Key (it is not shown here)"
    if name.lower() in _OWN_HEADERS:
        return f"{name} is set by the HTTP client itself; leave it out"
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port or IPv6 address
        return False
