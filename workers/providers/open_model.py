"""Opens the client of a model from its config.

API keys and the values of a gateway's headers are read from the environment.  Only the client that sends one holds it;
it is never printed, raised or recorded.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from muses_eval.pipeline.config.endpoint import Endpoint, address_problem
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.providers import PROVIDERS, Provider, unknown_provider
from muses_eval.pipeline.proxy import proxy_for
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

    provider = PROVIDERS.get(spec.provider)
    if provider is None:
        raise ConfigError(
            f"model {spec.name!r}: no provider {spec.provider!r}; expected scripted, {', '.join(PROVIDERS)}"
            f"{unknown_provider(spec.provider)}"
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
            _adapter(provider, endpoint),
            limit,
            _api_key(spec, endpoint, environ),
            {name: _secret(spec, variable, f"the header {name}", environ) for name, variable in endpoint.headers},
            environ=environ,
        )
    return ChatApiModel(spec, endpoint, access, Effects(random.Random()))


def _adapter(provider: Provider, endpoint: Endpoint) -> "Adapter":
    if endpoint.api_version is None:
        return make_adapter(provider.wire_format)
    from muses_eval.workers.providers.azure import AzureAdapter

    return AzureAdapter(endpoint.api_version)


def make_adapter(wire_format: str) -> "Adapter":
    """Returns a new adapter, for one model.

    Args:
        wire_format: one of :data:`muses_eval.pipeline.providers.WIRE_FORMATS`, or ``module:Class``.

    Raises:
        ConfigError: the class is in no installed package, or is not an adapter.
    """
    match wire_format:
        case "openai":
            from muses_eval.workers.providers.openai import OpenAIAdapter

            return OpenAIAdapter()
        case "anthropic":
            from muses_eval.workers.providers.anthropic import AnthropicAdapter

            return AnthropicAdapter()
        case _:
            return _foreign_adapter(wire_format)


def _foreign_adapter(path: str) -> "Adapter":
    from muses_eval.workers.providers.adapter import Adapter

    module, _, name = path.partition(":")
    try:
        adapter: Adapter = getattr(import_module(module), name)()
    except Exception as error:  # foreign code may raise anything
        raise ConfigError(f"the adapter {path} cannot be loaded: {type(error).__name__}: {error}") from error
    members = [member for member in (*Adapter.__annotations__, *vars(Adapter)) if not member.startswith("_")]
    if missing := [member for member in members if not hasattr(adapter, member)]:
        raise ConfigError(f"the adapter {path} lacks {', '.join(missing)} of {Adapter.__module__}.Adapter")
    return adapter


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
    hint = " (or leave out api_key_env if no key is needed)"
    return _secret(spec, name, f"the key for {', '.join(endpoint.base_urls)}", environ, hint)


def _secret(spec: ModelSpec, name: str, purpose: str, environ: Mapping[str, str], hint: str = "") -> str:
    """Returns the value of an environment variable.  Raises ConfigError, which never shows it, if it fits no header."""
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(
            f"model {spec.name!r}: the environment variable {name} is unset or empty, and it should hold {purpose}; "
            f"set it with: export {name}=...{hint}"
        )
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(
            f"model {spec.name!r}: the environment variable {name} holds characters that no key has (line breaks, "
            f"control characters or non-ASCII letters); set it to {purpose} alone"
        )
    return value
