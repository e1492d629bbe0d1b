"""The providers whose models a run can call over the network, one entry each.

An entry has what differs between providers with the same wire format.  An adapter in ``workers/providers``, one file
per format, encodes requests and decodes responses.  Installed packages add entries, and may bring an adapter;
docs/providers.md, "Add a provider", describes how.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from muses_eval.pipeline.lazy_mapping import LazyMapping
from muses_eval.pipeline.plugins import LoadedPlugins, PluginError, load_plugins

WireFormat = Literal["openai", "anthropic"]
"""``openai``: chat completions, which most servers offer.  ``anthropic``: messages."""
WIRE_FORMATS: tuple[WireFormat, ...] = get_args(WireFormat)

_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_KEY_PREFIX = re.compile(r"[\w-]{2,20}", re.ASCII)

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
    wire_format: WireFormat | str
    """Format of requests and responses, which selects the adapter: one of :data:`WIRE_FORMATS`, or ``module:Class`` of
    an adapter in an installed package, which is called without arguments."""
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

BUILT_IN_PROVIDERS: Mapping[str, Provider] = {
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
"""The providers that the project itself knows."""


@cache
def installed_providers() -> LoadedPlugins[Provider]:
    """Returns the providers of installed packages; they are imported at the first call."""
    return load_plugins("muses_eval.providers", checked_provider, {*BUILT_IN_PROVIDERS, "scripted"})


def checked_provider(name: str, value: object) -> Provider:
    """Returns the object of an entry point.  Raises PluginError when it is not a provider of this name."""
    if not isinstance(value, Provider):
        raise PluginError(f"expected a Provider ({Provider.__module__}), got an object of type {type(value).__name__}")
    if value.name != name:
        raise PluginError(f"the provider has the name {value.name!r}; the entry point needs the same name")
    if value.wire_format not in WIRE_FORMATS and not _CLASS_PATH.fullmatch(value.wire_format):
        raise PluginError(
            f"its wire_format is {value.wire_format!r}; expected {', '.join(WIRE_FORMATS)}, or module:Class of an "
            "adapter"
        )
    if value.key_prefix is not None and not _KEY_PREFIX.fullmatch(value.key_prefix):
        raise PluginError("its key_prefix needs 2 to 20 letters, digits, dashes and underscores")
    return value


PROVIDERS: Mapping[str, Provider] = LazyMapping(lambda: {**BUILT_IN_PROVIDERS, **installed_providers().objects})
"""The built-in providers and those of installed packages, by name.  ``scripted`` is not one of them: its agents need no
network."""


def unknown_provider(name: str) -> str:
    """Returns the end of a message about an unknown provider: why an installed one cannot be used; else empty."""
    problem = installed_providers().problems.get(name)
    return "" if problem is None else f"; {problem}"


def is_remote_api(provider: str) -> bool:
    """Returns whether replies of a provider come through an API, not from an agent or a server of this run."""
    return provider not in {"scripted", "vllm"}
