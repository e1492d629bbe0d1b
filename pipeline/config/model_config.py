"""The section of a model in a configuration, and its resolution to a ``ModelSpec``."""

from collections.abc import Mapping
from typing import Annotated

from muses_eval.pipeline.config.endpoint import (
    Endpoint,
    Limits,
    address_problem,
    header_problem,
    variable_problem,
)
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.section import Integer, Number, Section
from muses_eval.pipeline.episode.system_role import SystemRole
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.price_table import default_prices
from muses_eval.pipeline.providers import GENERIC, PROVIDERS, unknown_provider
from pydantic import BeforeValidator, Field, model_validator

_NETWORK_KEYS = ("base_url", "api_key_env", "headers", "api_version", "stream")
"""Keys of models behind an address."""


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _header_variables(value: object) -> object:
    """Checks the headers; a message shows no value, because it may be the secret itself."""
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError(
            "expected names of headers, each with the name of an environment variable, such as "
            "{X-Gateway-Key: GATEWAY_KEY}; what came is not shown here, because it may be a secret"
        )
    for name, variable in value.items():
        if problem := header_problem(name) or variable_problem(name, variable, "GATEWAY_KEY"):
            raise ValueError(problem)
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("the same header comes twice; upper and lower case make no difference")
    return value


class ModelConfig(Section):
    """One model: ``scripted/<kind>`` or ``<provider>:<model>`` (:mod:`muses_eval.pipeline.providers`)."""

    model: str
    name: str | None = None
    """Name on the leaderboard; None uses the provider's name of the model."""
    base_url: Annotated[tuple[str, ...] | None, BeforeValidator(_one_or_several)] = None
    """One address, or several addresses of servers of the same model."""
    api_key_env: str | None = None
    """Environment variable with the key; None uses the provider's variable, unless ``base_url`` is set."""
    headers: Annotated[Mapping[str, str], BeforeValidator(_header_variables)] = Field({})
    """Further headers of every request: name -> environment variable with the value."""
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")] | None = None
    """Azure's version of the API: requests have Azure's form, and ``base_url`` is the address of a deployment."""
    stream: bool = False
    """True to request replies as a stream of events, for servers that only stream."""
    system_role: SystemRole = "send"
    """``fold`` makes the system message the beginning of the first user message."""
    account: str | None = None
    """Name of the account, whose models share its limits; None derives it from the addresses and the key's name."""
    sampling: Sampling = Sampling()
    timeout_s: Number = Field(120.0, gt=0)
    max_retries: Integer = Field(5, ge=0)
    requests_per_minute: Number | None = Field(None, gt=0)
    tokens_per_minute: Number | None = Field(None, gt=0)
    max_concurrency: Integer | None = Field(None, gt=0)
    prices: Prices | None = None
    """Token prices; None uses the prices of the default table, if it has the model."""
    engine: EngineSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"model": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _known(self) -> "ModelConfig":
        provider, rest = self._parts
        if provider == "scripted" and rest not in SCRIPTED_KINDS:
            kinds = ", ".join(f"scripted/{kind}" for kind in SCRIPTED_KINDS)
            raise ValueError(f"no built-in agent {self.model!r}; there are {kinds}")
        if provider not in ("scripted", *PROVIDERS) or not rest:
            *most, last = (f"{name}:<model>" for name in PROVIDERS)
            reason = unknown_provider(provider)
            raise ValueError(f"expected scripted/<kind>, {', '.join(most)} or {last}, got {self.model!r}{reason}")
        if provider in ("scripted", "vllm") and any(getattr(self, key) for key in _NETWORK_KEYS):
            why = "needs no network" if provider == "scripted" else "is served by this run"
            raise ValueError(
                f"{self.model} {why}: leave out base_url and {', '.join(_NETWORK_KEYS[1:])}"
                + (f" (the model of a running server is {GENERIC.name}:{rest})" if provider == "vllm" else "")
            )
        if self.engine is not None and provider != "vllm":
            raise ValueError(f"engine is for vllm:<model>, got {self.model!r}")
        self._check_addresses()
        if self.api_key_env is not None and (
            problem := variable_problem("api_key_env", self.api_key_env, str(GENERIC.api_key_env))
        ):
            raise ValueError(problem)
        self._check_api_version(provider)
        return self

    def _check_api_version(self, provider: str) -> None:
        if self.api_version is not None and (
            PROVIDERS[provider].wire_format != GENERIC.wire_format or not self.base_url
        ):
            raise ValueError(
                f"api_version is for deployments in Azure: {GENERIC.name}:<model> whose base_url is the address of a "
                f"deployment, got {self.model!r}"
            )

    def _check_addresses(self) -> None:
        if self.base_url == ():
            raise ValueError("base_url is empty; add an address, or leave it out")
        for url in self.base_url or ():
            if problem := address_problem(url):
                raise ValueError(problem)

    @property
    def _parts(self) -> tuple[str, str]:
        provider, _, rest = self.model.partition("/" if self.model.startswith("scripted/") else ":")
        return provider, rest

    def spec(self) -> ModelSpec:
        provider, rest = self._parts
        if provider == "scripted":
            return ModelSpec(self.name or self.model, "scripted", rest)
        return ModelSpec(
            name=self.name or rest,
            provider=provider,
            model=rest,
            sampling=self.sampling,
            endpoint=self._endpoint(provider),
            engine=(self.engine or EngineSpec()) if provider == "vllm" else None,
            prices=self._prices(provider),
            system_role=self.system_role,
        )

    def _prices(self, provider: str) -> Prices | None:
        """Returns the prices of the config or of the table, whose prices apply only at the provider's own address."""
        if self.prices is not None:
            return self.prices
        home = PROVIDERS[provider].base_url
        at_home = home is not None and (self.base_url is None or {url.rstrip("/") for url in self.base_url} == {home})
        entry = default_prices().find(provider, self._parts[1]) if at_home else None
        return None if entry is None else entry.prices

    def _endpoint(self, provider: str) -> Endpoint:
        known = PROVIDERS[provider]
        urls = self.base_url or (() if known.base_url is None else (known.base_url,))
        return Endpoint(
            base_urls=tuple(url.rstrip("/") for url in urls),
            api_key_env=self.api_key_env or (None if self.base_url else known.api_key_env),
            timeout_s=self.timeout_s,
            max_retries=self.max_retries,
            limits=Limits(self.requests_per_minute, self.tokens_per_minute, self.max_concurrency),
            account=self.account or (f"{provider}:{self._parts[1]}" if provider == "vllm" else None),
            headers=tuple(sorted(self.headers.items())),
            stream=self.stream,
            api_version=self.api_version,
        )
