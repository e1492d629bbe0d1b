"""The configuration of a run, as users write it in YAML.

pydantic reads the foreign text; what leaves this module is frozen values (:mod:`pipeline.specs`).  Unknown keys are
refused with the nearest known one, so that a typo never silently means the default.
"""

import difflib
import re
import zoneinfo
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.cron import cron_problem
from pipeline.crowds import LARGEST, SMALLEST
from pipeline.errors import ConfigError
from pipeline.families import FAMILIES
from pipeline.families.base import SCRIPTED_KINDS
from pipeline.hashing import canonical, slug
from pipeline.plan import RunRequest, TemplateChoice
from pipeline.prices import default_prices, prices_of
from pipeline.providers import GENERIC, PROVIDERS, REQUEST_FIELDS
from pipeline.serialization import TEMPLATES
from pipeline.specs import (
    Budget,
    DatasetSpec,
    Endpoint,
    EngineSpec,
    Limits,
    ModelSpec,
    Prices,
    Sampling,
    UsersSpec,
    address_problem,
)

_SEGMENT = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,148}[A-Za-z0-9_])?$"
"""Of a path; a folder's names have at most 255 bytes, and some keys have more than a run's id in one."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BLOCK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")
_SHOWN_CHARS = 100


def _json(value: Mapping[str, Any]) -> str:
    return canonical(value).decode()


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


Whole = Annotated[int, BeforeValidator(_no_bool)]
"""An integer; YAML's yes, no, on and off are none, though Python counts with them."""
Number = Annotated[float, BeforeValidator(_no_bool)]


class SamplingConfig(_Section):
    """Request options; what is left out is not sent, and the provider's default holds."""

    temperature: Number | None = Field(None, ge=0)
    top_p: Number | None = Field(None, gt=0, le=1)
    max_tokens: Whole | None = Field(None, gt=0)
    seed: Whole | None = None
    reasoning_effort: str | None = None
    extra_body: dict[str, Any] | None = None
    """Further fields of every request, as the provider names them."""

    @field_validator("extra_body")
    @classmethod
    def _own_fields(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        taken = sorted(REQUEST_FIELDS & set(value or ()))
        if taken:
            raise ValueError(f"{', '.join(taken)}: sent by the project itself; extra_body is for other fields")
        return value

    def spec(self) -> Sampling:
        options = self.model_dump(exclude={"extra_body"})
        return Sampling(**options, extra_body=_json(self.extra_body) if self.extra_body else None)


class PricesConfig(_Section):
    """USD per million tokens."""

    input: Number = Field(ge=0)
    output: Number = Field(ge=0)
    cached_input: Number | None = Field(None, ge=0)
    """Of prompt tokens that the provider had cached; left out: the same as ``input``."""


def _replica_range(value: object) -> object:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


class EngineConfig(_Section):
    """The vLLM servers that are started for a model ``vllm:<model>``."""

    replicas: Annotated[tuple[Whole, Whole], BeforeValidator(_replica_range)] = (1, 1)
    """A number, or the least and the most."""
    tensor_parallel: Whole = Field(1, gt=0)
    """GPUs a replica."""
    args: dict[str, Any] = Field(default_factory=dict)
    """vLLM's own arguments, as ``{max_model_len: 8192}``."""
    python: str | None = None
    """The interpreter that has vLLM; left out: the workers' own."""

    @field_validator("replicas")
    @classmethod
    def _ascending(cls, value: tuple[int, int]) -> tuple[int, int]:
        least, most = value
        if not 1 <= least <= most:
            raise ValueError(f"expected a number from 1 on, or [least, most], got {list(value)}")
        return value

    def spec(self) -> EngineSpec:
        return EngineSpec(self.replicas, self.tensor_parallel, _json(self.args), self.python)


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class ModelConfig(_Section):
    """One model: ``scripted/<kind>`` or ``<provider>:<model>`` (:mod:`pipeline.providers`)."""

    model: str
    name: str | None = None
    """On the leaderboard; the provider's name for the model when left out."""
    base_url: Annotated[tuple[str, ...] | None, BeforeValidator(_one_or_several)] = None
    """One address, or several that serve the same model."""
    api_key_env: str | None = None
    """Which environment variable holds the key.  Left out: the provider's own, where ``base_url`` is left out too."""
    account: str | None = None
    """Models of one account share its limits; left out: their addresses and the key's name tell."""
    sampling: SamplingConfig = SamplingConfig()
    timeout_s: Number = Field(120.0, gt=0)
    max_retries: Whole = Field(5, ge=0)
    requests_per_minute: Number | None = Field(None, gt=0)
    tokens_per_minute: Number | None = Field(None, gt=0)
    max_concurrency: Whole | None = Field(None, gt=0)
    prices: PricesConfig | None = None
    """Left out: those of the table of defaults, where it has the model."""
    engine: EngineConfig | None = None

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
            raise ValueError(f"expected scripted/<kind>, {', '.join(most)} or {last}, got {self.model!r}")
        if provider in ("scripted", "vllm") and (self.base_url or self.api_key_env):
            why = "needs no network" if provider == "scripted" else "is served by what this run starts"
            raise ValueError(
                f"{self.model} {why}: leave out base_url and api_key_env"
                + (f" (a server that runs already is {GENERIC.name}:{rest})" if provider == "vllm" else "")
            )
        if self.engine is not None and provider != "vllm":
            raise ValueError(f"engine is for vllm:<model>, got {self.model!r}")
        self._check_addresses()
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError(
                f"api_key_env must be the name of an environment variable, such as {GENERIC.api_key_env}; what came is "
                "none (not shown here, in case it is the key itself)"
            )
        return self

    def _check_addresses(self) -> None:
        if self.base_url == ():
            raise ValueError("base_url names no address; write one, or leave it out")
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
            sampling=self.sampling.spec(),
            endpoint=self._endpoint(provider),
            engine=(self.engine or EngineConfig()).spec() if provider == "vllm" else None,
            prices=self._prices(provider),
        )

    def _prices(self, provider: str) -> Prices | None:
        """The config's, else the table's: its prices hold at the provider's own address only."""
        if self.prices is not None:
            return Prices(**self.prices.model_dump())
        home = PROVIDERS[provider].base_url
        at_home = home is not None and (self.base_url is None or {url.rstrip("/") for url in self.base_url} == {home})
        return default_prices().find(provider, self._parts[1]) if at_home else None

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
        )


def _dataset_from_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.startswith("generated:"):
        return {"path": value}
    size, _, seed = value.removeprefix("generated:").partition("@")
    return {"size": size, **({"seed": seed} if seed else {})}


def _size_from_number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class DatasetConfig(_Section):
    """``generated:tiny``, ``generated:paper``, ``generated:500@7`` (500 a family, seed 7), or a file or folder."""

    path: str | None = None
    size: Annotated[str, BeforeValidator(_size_from_number)] = "tiny"
    seed: Whole = 0
    most_users: Whole | None = Field(None, ge=SMALLEST, le=LARGEST)
    """Generated scenarios have from 2 to so many users; left out: as in the paper (queue 20, the others 10)."""

    @model_validator(mode="after")
    def _known(self) -> "DatasetConfig":
        if self.size not in ("tiny", "paper") and not (self.size.isascii() and self.size.isdigit() and int(self.size)):
            raise ValueError(f"expected the size tiny, paper or a positive number, got {self.size!r}")
        return self

    def spec(self) -> DatasetSpec:
        return DatasetSpec(self.path, self.size, self.seed, self.most_users)


class ExecutionConfig(_Section):
    """How the run is carried out; nothing here changes what is measured."""

    executor: Literal["inline", "ray"] = "inline"
    ray_address: str | None = None
    """Of a running cluster; a local one is started when left out."""
    workers: Whole | None = Field(None, gt=0)
    """Ray actors; one a CPU of the cluster when left out."""
    shards_per_worker: Whole = Field(4, gt=0)
    """Shards that one worker plays at the same time."""
    shard_size: Whole = Field(32, gt=0)
    """Episodes a shard."""
    weight: Whole = Field(1, ge=1, le=100)
    """Of this run beside others of the cluster that want more of an account than there is."""
    stall_minutes: Number = Field(15.0, gt=0)
    """So long without a single answer from any model, and the run ends."""


class BudgetConfig(_Section):
    """What a run may use at the most, all its starts together.  Left out: no cap."""

    usd: Number | None = Field(None, gt=0)
    tokens: Whole | None = Field(None, gt=0)
    """Prompt and completion together, of agents and users."""

    @model_validator(mode="after")
    def _names_one(self) -> "BudgetConfig":
        if self.usd is None and self.tokens is None:
            raise ValueError("names no cap; write usd, tokens or both")
        return self

    def spec(self) -> Budget:
        return Budget(self.usd, self.tokens)


class FlowConfig(_Section):
    """What Prefect does beyond playing: it tries a cell again, and ends what takes too long."""

    cell_retries: Whole = Field(2, ge=0)
    """After the first try of a cell; what is scored by then is not played again."""
    retry_seconds: Number = Field(30.0, ge=0)
    """Between two tries."""
    cell_minutes: Number | None = Field(None, gt=0)
    """For one try; a cell that takes longer is left as it is, and the others go on."""
    flow_minutes: Number | None = Field(None, gt=0)
    """For the whole flow; what is finished then is kept, and the next start plays the rest."""


class _Schedule(_Section):
    """When a job starts by itself, once it is deployed."""

    cron: str
    timezone: str = "UTC"
    """As the tz database names it: Europe/Berlin, UTC."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(f"{value!r}: {problem}")
        return value

    @field_validator("timezone")
    @classmethod
    def _exists(cls, value: str) -> str:
        there = zoneinfo.available_timezones()
        if value not in there:
            near = difflib.get_close_matches(value, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "write one as Europe/Berlin, America/New_York or UTC"
            raise ValueError(f"no time zone {value!r}; {hint}")
        return value


class NightlyConfig(_Schedule):
    """A leaderboard that renews itself every night."""

    cron: str = "0 1 * * *"
    name: str = Field("nightly", pattern=_SEGMENT)
    """Runs are called <name>-<date> and <name>-canary-<date>, by the date in ``timezone``."""
    canary: Whole = Field(20, ge=2)
    """Scenarios a family that are played every night, whatever is reused."""
    alpha: Number = Field(0.01, gt=0, lt=1)
    """The chance, in a night in which nothing has changed, of a flag of a kind."""

    @field_validator("name")
    @classmethod
    def _no_canary(cls, value: str) -> str:
        if value.endswith("-canary"):
            raise ValueError(f"{value!r}: the canaries of another nightly evaluation are called so; write another")
        return value


class RetentionConfig(_Section):
    """Runs that are deleted when nothing has been written to them for so long."""

    name: str
    """Pattern of the run's id, as nightly-*."""
    days: Number = Field(gt=0)


class MaintainConfig(_Schedule):
    """The upkeep of the store."""

    cron: str = "0 5 * * *"
    grace_hours: Number = Field(24.0, ge=1)
    """How old garbage has to be."""
    retention: tuple[RetentionConfig, ...] = ()
    """Left out: no run is ever deleted."""


def _users_from_text(value: object) -> object:
    if value == "scripted":
        return None
    model = value.get("model") if isinstance(value, Mapping) else value
    if isinstance(model, str) and model.startswith("scripted/"):
        raise ValueError(f"users are `scripted` or a model; {model!r} is a built-in agent")
    return value


def _family(value: object) -> object:
    if isinstance(value, str) and value not in FAMILIES:
        raise ValueError(f"no family {value!r}; there are {', '.join(FAMILIES)}")
    return value


def _template(value: object) -> object:
    known = (*TEMPLATES, "published")
    if isinstance(value, str) and value not in known:
        raise ValueError(f"no template {value!r}; there are {', '.join(known)}")
    return value


def _block(value: object) -> object:
    if isinstance(value, str) and not _BLOCK.fullmatch(value):
        raise ValueError(
            "expected a Prefect block as TYPE/NAME, such as slack-webhook/team; what came is none (not shown here, in "
            "case it is a webhook's address)"
        )
    return value


class RunConfig(_Section):
    """One run."""

    name: str = "run"
    run_id: str | None = Field(None, pattern=_SEGMENT)
    """Left out: derived from what is measured, so that the same config resumes the same run."""
    dataset: Annotated[DatasetConfig, BeforeValidator(_dataset_from_text)] = DatasetConfig()
    models: tuple[ModelConfig, ...]
    families: tuple[Annotated[str, BeforeValidator(_family)], ...] = ()
    """Left out: all that the dataset has."""
    templates: tuple[Annotated[TemplateChoice, BeforeValidator(_template)], ...] = ("published",)
    users: Annotated[ModelConfig | None, BeforeValidator(_users_from_text)] = None
    """``scripted``: rule-based principals.  A model plays them in the paper's way, pinned apart from the agents."""
    epochs: Whole = Field(1, gt=0)
    limit: Whole | None = Field(None, gt=0)
    store: str = ".muses/store"
    coverage: Number = Field(0.99, ge=0, le=1)
    """Share of planned episodes that must be scored for a model to be ranked."""
    budget: BudgetConfig | None = None
    cache: Literal["off", "local", "store"] = "off"
    """Where answers are kept, to be used again by a call that is the same in every respect, epoch included."""
    execution: ExecutionConfig = ExecutionConfig()
    flow: FlowConfig = FlowConfig()
    notify: tuple[Annotated[str, BeforeValidator(_block)], ...] = ()
    """Prefect blocks that messages go to, as TYPE/NAME: slack-webhook/team."""
    nightly: NightlyConfig = NightlyConfig()
    maintain: MaintainConfig = MaintainConfig()

    @model_validator(mode="after")
    def _distinct(self) -> "RunConfig":
        if not self.models:
            raise ValueError("models names none; write one such as scripted/oracle")
        for field, values in (("families", self.families), ("templates", self.templates)):
            if len(set(values)) < len(values):
                raise ValueError(f"{field} names something twice: {', '.join(values)}")
        seen: dict[str, str] = {}
        for model in self.models:
            name = model.spec().name
            if slug(name) in seen:
                raise ValueError(f"two models are called {name!r} and {seen[slug(name)]!r}: give one another `name`")
            seen[slug(name)] = name
        return self

    @model_validator(mode="after")
    def _native_is_possible(self) -> "RunConfig":
        for model in self.models if "native" in self.templates else ():
            provider = PROVIDERS.get(model.model.partition(":")[0])
            if provider is not None and not provider.free_roles:
                raise ValueError(
                    f"templates names native, and {model.model} takes only the roles user and assistant, so it could "
                    "not tell who speaks; leave native out, or play it in a config without models of "
                    f"{provider.name}"
                )
        return self

    @model_validator(mode="after")
    def _priced(self) -> "RunConfig":
        """A cap in USD cannot be kept where a price is not known."""
        if self.budget is None or self.budget.usd is None:
            return self
        called = (*self.models, *(() if self.users is None else (self.users,)))
        unknown = [spec.name for spec in (model.spec() for model in called) if prices_of(spec) is None]
        if unknown:
            raise ValueError(
                f"budget.usd cannot be kept: no price is known of {', '.join(dict.fromkeys(unknown))}; write prices: "
                "{input: ..., output: ...} in USD per million tokens there (0 where it costs nothing), or cap tokens"
            )
        return self

    def request(self, families: tuple[str, ...]) -> RunRequest:
        """What the run's identity is made of; *families* are those of the dataset."""
        return RunRequest(
            name=self.name,
            models=tuple(model.spec() for model in self.models),
            families=self.families or families,
            users=UsersSpec(None if self.users is None else self.users.spec()),
            templates=self.templates,
            epochs=self.epochs,
            limit=self.limit,
        )


def parse_config(raw: object, source: str) -> RunConfig:
    """Reads a configuration.  *source* names it in messages.

    Raises:
        ConfigError: with one line for every problem: where, what came, what was expected.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{source}: expected keys and values such as `models: [scripted/oracle]`, got {_shown(raw)}")
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from error


def _explain(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict of its core
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    where = where.removeprefix(".") or "config"
    match problem["type"]:
        case "extra_forbidden":
            known = _keys_at(problem["loc"][:-1])
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            return f"{where}: unknown key; {hint}"
        case "missing":
            return f"{where}: missing"
        case "value_error":
            return f"{where}: {problem['ctx']['error']}"
        case kind:
            return f"{where}: {_EXPECTED.get(kind, problem['msg'])}, got {_shown(problem['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _keys_at(location: tuple[str | int, ...]) -> list[str]:
    """The keys that are known at a place of the configuration."""
    section: type[BaseModel] = RunConfig
    for part in location:
        if isinstance(part, str) and part in _SECTIONS:
            section = _SECTIONS[part]
    return sorted(section.model_fields)


_EXPECTED = {
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "string_pattern_mismatch": "expected letters, digits, dots, dashes and underscores, at most 150, with a letter or "
    "digit at the beginning and no dot or dash at the end",
    "string_type": "expected a text (in quotes, where YAML reads something else)",
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "models": ModelConfig,
    "users": ModelConfig,
    "sampling": SamplingConfig,
    "dataset": DatasetConfig,
    "execution": ExecutionConfig,
    "prices": PricesConfig,
    "engine": EngineConfig,
    "budget": BudgetConfig,
    "flow": FlowConfig,
    "nightly": NightlyConfig,
    "maintain": MaintainConfig,
    "retention": RetentionConfig,
}
