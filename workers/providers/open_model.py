"""Opens the client of a model from its config.

API keys are read from the environment.  Only the client that sends a key holds it; it is never printed, raised or
recorded.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from muses_eval.pipeline.config.endpoint import Endpoint, address_problem
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.providers import PROVIDERS, WireFormat
from muses_eval.workers.limits import LimitsClient
from muses_eval.workers.providers.model import Model
from muses_eval.workers.providers.scripted import ScriptedModel

if TYPE_CHECKING:
    from muses_eval.workers.providers.adapter import Adapter


def open_model(spec: ModelSpec, environ: Mapping[str, str], limits: LimitsClient | None = None) -> Model:
    """Returns the client of a model; it opens no connection yet.

    Args:
        spec: the model.
        environ: environment variables with the key, by the name in the endpoint, and with proxies.
        limits: the limits of the process, shared by all its models; None for limits of its own.

    Raises:
        ConfigError: the endpoint is missing or malformed, its key is not in the environment, or the process has no
            Ray cluster that could serve the model.
    """
    if spec.provider == "scripted":
        return ScriptedModel(spec)
    # Imported here, so that scripted runs start without an HTTP client.
    from muses_eval.workers.providers.chat_api import ChatApiModel, Effects, ModelConnection
    from muses_eval.workers.providers.http_client import proxy_for

    provider = PROVIDERS.get(spec.provider)
    if provider is None:
        raise ConfigError(
            f"model {spec.name!r}: no provider {spec.provider!r}; expected scripted, {', '.join(PROVIDERS)}"
        )
    endpoint = _endpoint(spec)
    # Servers of a fleet have no address yet, so the model's name identifies the account.
    account = endpoint.account or (None if endpoint.base_urls else f"vllm:{spec.model}")
    limit = (limits or LimitsClient()).limiter(replace(endpoint, account=account))
    if spec.provider == "vllm":
        from muses_eval.workers.vllm.server_discovery import ServerDiscovery

        access = ModelConnection(make_adapter(provider.wire_format), limit, resolve=ServerDiscovery(spec).resolve)
    else:
        for url in endpoint.base_urls:
            proxy_for(url, environ)
        access = ModelConnection(
            make_adapter(provider.wire_format), limit, _api_key(spec, endpoint, environ), environ=environ
        )
    return ChatApiModel(spec, endpoint, access, Effects(random.Random()))


def make_adapter(wire_format: WireFormat) -> "Adapter":
    """Returns a new adapter, for one model."""
    match wire_format:
        case "openai":
            from muses_eval.workers.providers.openai import OpenAIAdapter

            return OpenAIAdapter()
        case "anthropic":
            from muses_eval.workers.providers.anthropic import AnthropicAdapter

            return AnthropicAdapter()
        case _:
            assert_never(wire_format)


def _endpoint(spec: ModelSpec) -> Endpoint:
    endpoint = spec.endpoint
    if endpoint is None:
        raise ConfigError(f"model {spec.name!r}: provider {spec.provider!r} needs an endpoint; give it a base_url")
    if not endpoint.base_urls and spec.provider != "vllm":
        raise ConfigError(f"model {spec.name!r}: its endpoint names no address; give it a base_url")
    for base_url in endpoint.base_urls:
        if problem := address_problem(base_url):
            raise ConfigError(f"model {spec.name!r}: {problem}")
    return endpoint


def _api_key(spec: ModelSpec, endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    name = endpoint.api_key_env
    if name is None:
        return None
    key = environ.get(name, "").strip()
    if not key:
        raise ConfigError(
            f"model {spec.name!r}: the environment variable {name} is unset or empty, and it should hold the key for "
            f"{', '.join(endpoint.base_urls)}; set it with: export {name}=... "
            "(or leave out api_key_env if no key is needed)"
        )
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"model {spec.name!r}: the environment variable {name} holds characters that no key has (line breaks, "
            "control characters or non-ASCII letters); set it to the key alone"
        )
    return key
