"""The providers whose models a run can call over the network, one row each.

A row says what differs between two providers that speak the same wire format.  How a format is written and read is the
adapter's matter, one file a format in ``workers/providers``.  Both steps are in docs/providers.md, "Add a provider".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WireFormat = Literal["openai", "anthropic"]
"""``openai``: chat completions, which most servers speak.  ``anthropic``: messages."""

REQUEST_FIELDS = frozenset(
    {"model", "messages", "system", "stream", "n", "temperature", "top_p", "max_tokens", "max_completion_tokens"}
    | {"seed", "reasoning_effort", "output_config"}
)
"""Fields that the adapters of all wire formats write themselves; ``extra_body`` of a config cannot replace them."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """Names, in lower case, of the response headers that state an account's limits a minute."""

    requests: str
    tokens: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider, as a config names it."""

    name: str
    """Word before the colon in ``openai:<model>``.  It is part of every episode's id."""
    wire_format: WireFormat
    """Format of its requests and responses; it selects the adapter."""
    base_url: str | None = None
    """Address of the provider's own API, version included; None: it has none."""
    api_key_env: str | None = None
    """Environment variable that holds the key for ``base_url``; None: no key is needed."""
    key_prefix: str | None = None
    """Beginning of its keys, by which they are masked in traces; None: they have no form of their own."""
    limit_headers: LimitHeaders = LimitHeaders("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")
    free_roles: bool = True
    """Whether a message may have any role, as the template ``native`` needs; False: user and assistant only."""


GENERIC = Provider(
    name="openai",
    wire_format="openai",
    base_url="https://api.openai.com/v1",
    api_key_env="OPENAI_API_KEY",
    key_prefix="sk-",
)
"""Provider for any server that speaks chat completions: a config's ``base_url`` says where it is."""

PROVIDERS: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        GENERIC,
        Provider(
            name="anthropic",
            wire_format="anthropic",
            base_url="https://api.anthropic.com/v1",
            api_key_env="ANTHROPIC_API_KEY",
            key_prefix="sk-",
            limit_headers=LimitHeaders("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-tokens-limit"),
            free_roles=False,
        ),
        # Servers that the run itself starts and watches: they have no address before it does.
        Provider(name="vllm", wire_format="openai"),
    )
}
"""All providers by name.  ``scripted`` is none: its agents are built in and need no network."""
