"""The providers whose models a run can call over the network, one entry each.

An entry has what differs between providers with the same wire format.  An adapter in ``workers/providers``, one file
per format, encodes requests and decodes responses.  docs/providers.md, "Add a provider", describes both steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WireFormat = Literal["openai", "anthropic"]
"""``openai``: chat completions, which most servers offer.  ``anthropic``: messages."""

REQUEST_FIELDS = frozenset(
    {"model", "messages", "system", "stream", "stream_options", "n", "temperature", "top_p", "max_tokens"}
    | {"max_completion_tokens", "seed", "reasoning_effort", "output_config"}
)
"""Request fields that the adapters set; ``extra_body`` of a config cannot replace them."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """Names, in lower case, of the response headers with an account's limits per minute."""

    requests: str
    tokens: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider, as a config names it."""

    name: str
    """Word before the colon in ``openai:<model>``.  It is part of the id of every episode."""
    wire_format: WireFormat
    """Format of requests and responses; it selects the adapter."""
    base_url: str | None = None
    """Address of the provider's API with its version; None when there is no fixed address."""
    api_key_env: str | None = None
    """Environment variable with the key for ``base_url``; None when no key is needed."""
    key_prefix: str | None = None
    """Prefix of the provider's keys, which are masked in traces; None when keys have no common prefix."""
    limit_headers: LimitHeaders = LimitHeaders("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")
    free_roles: bool = True
    """True when a message may have any role, as the template ``native`` requires; False for user and assistant only."""


GENERIC = Provider(
    name="openai",
    wire_format="openai",
    base_url="https://api.openai.com/v1",
    api_key_env="OPENAI_API_KEY",
    key_prefix="sk-",
)
"""Provider of every server with chat completions; ``base_url`` of a config is its address."""

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
        # The run starts these servers itself, so they have no address before that.
        Provider(name="vllm", wire_format="openai"),
    )
}
"""All providers by name.  ``scripted`` is not one of them: its agents are built in and need no network."""


def is_remote_api(provider: str) -> bool:
    """Returns whether replies of a provider come through an API, not from an agent or a server of this run."""
    return provider not in {"scripted", "vllm"}
