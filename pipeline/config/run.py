"""The configuration of one run: all its sections."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from muses_eval.pipeline.agents.agent_spec import CHAT, AgentSpec, entry_name
from muses_eval.pipeline.config.agent_config import AgentConfig
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.dataset import DatasetSpec, dataset_from_text
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.schedule import FlowConfig, MaintainConfig, NightlyConfig
from muses_eval.pipeline.config.section import SEGMENT, Integer, Number, Section
from muses_eval.pipeline.config.store_url import check_store_url
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.episode.unusable_replies import DEFAULT_MAX_UNUSABLE
from muses_eval.pipeline.families import FAMILIES, unknown_family
from muses_eval.pipeline.hashing import slug
from muses_eval.pipeline.plan.plan import RunRequest, TemplateChoice
from muses_eval.pipeline.prices import prices_of
from muses_eval.pipeline.protocols import PROTOCOLS, ProtocolName
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.providers import PROVIDERS
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

RELEASED_TEMPERATURE = 1.0
"""Temperature of the released evaluator, for agents and simulated users."""
MAX_EPOCHS = 10_000
_BLOCK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")


def _users_from_text(value: object) -> object:
    if value == "scripted":
        return None
    model = value.get("model") if isinstance(value, Mapping) else value
    if isinstance(model, str) and model.startswith("scripted/"):
        raise ValueError(f"users are `scripted` or a model; {model!r} is a built-in agent")
    return value


def _family(value: object) -> object:
    if isinstance(value, str) and value not in FAMILIES:
        raise ValueError(unknown_family(value))
    return value


def _template(value: object) -> object:
    known = (*TEMPLATES, "published")
    if value not in known:
        raise ValueError(f"no template {value!r:.60}; there are {', '.join(known)}")
    return value


def _protocol(value: object) -> object:
    if isinstance(value, str) and value not in PROTOCOLS:
        raise ValueError(f"no protocol {value!r}; there are {', '.join(PROTOCOLS)}")
    return value


def _cache(value: object) -> object:
    """Returns ``off`` for false, as which YAML reads ``off`` without quotes."""
    return "off" if value is False else value


def _block(value: object) -> object:
    if isinstance(value, str) and not _BLOCK.fullmatch(value):
        raise ValueError(
            "expected a Prefect block as TYPE/NAME, such as slack-webhook/team; the value is not one (it is not shown "
            "here, because it may be the address of a webhook)"
        )
    return value


def _check_distinct(kind: str, names: Sequence[str]) -> None:
    """Raises ValueError when two names have the same path segment."""
    seen: dict[str, str] = {}
    for name in names:
        if slug(name) in seen:
            raise ValueError(
                f"two {kind} are called {name!r} and {seen[slug(name)]!r}: give one of them another `name`"
            )
        seen[slug(name)] = name


class RunConfig(Section):
    """One run."""

    name: str = "run"
    run_id: str | None = Field(None, pattern=SEGMENT)
    """Id of the run.  By default it is derived from what is measured, so that the same config resumes the same run."""
    dataset: Annotated[DatasetSpec, BeforeValidator(dataset_from_text)] = DatasetSpec()
    models: tuple[ModelConfig, ...]
    agents: tuple[AgentConfig, ...] = (AgentConfig(agent="chat"),)
    """Agents, each of which is evaluated with every model; ``chat`` is the model alone."""
    families: tuple[Annotated[str, BeforeValidator(_family)], ...] = ()
    """Families to play; by default all families of the dataset."""
    protocol: Annotated[ProtocolName, BeforeValidator(_protocol)] = "muses"
    """``released``: as the released evaluator, with a temperature of 1.0 unless ``sampling`` sets it."""
    templates: tuple[Annotated[TemplateChoice, BeforeValidator(_template)], ...] = ("published",)
    users: Annotated[ModelConfig | None, BeforeValidator(_users_from_text)] = None
    """Model that plays the users, as in the paper; None (``scripted`` in a config) for rule-based users."""
    epochs: Integer = Field(1, gt=0, le=MAX_EPOCHS)
    limit: Integer | None = Field(None, gt=0)
    scenarios: tuple[str, ...] = ()
    """Ids of the scenarios to play; by default all."""
    store: Annotated[str, AfterValidator(check_store_url)] = ".muses/store"
    coverage: Number = Field(0.99, ge=0, le=1)
    """Share of planned episodes that must be scored for a model to be ranked."""
    max_unusable: Number = Field(DEFAULT_MAX_UNUSABLE, ge=0, le=1)
    """Share of unusable replies, in any family, above which a model is not ranked."""
    budget: Budget | None = None
    cache: Annotated[Literal["off", "local", "store"], BeforeValidator(_cache)] = "off"
    """Location of the response cache.  A cached response is used for an identical call, with the same epoch."""
    execution: ExecutionConfig = ExecutionConfig()
    flow: FlowConfig = FlowConfig()
    notify: tuple[Annotated[str, BeforeValidator(_block)], ...] = ()
    """Prefect blocks that receive notifications, as TYPE/NAME: slack-webhook/team."""
    nightly: NightlyConfig = NightlyConfig()
    maintain: MaintainConfig = MaintainConfig()

    @model_validator(mode="after")
    def _distinct(self) -> "RunConfig":
        if not self.models:
            raise ValueError("models is empty; add a model such as scripted/oracle")
        for field, values in (("families", self.families), ("templates", self.templates)):
            if len(set(values)) < len(values):
                raise ValueError(f"{field} has duplicates: {', '.join(values)}")
        if not self.agents:
            raise ValueError("agents is empty; leave it out for the models alone, or add an agent such as chat")
        _check_distinct("models", [model.spec().name for model in self.models])
        _check_distinct("agents", [agent.entry for agent in self.agents])
        agents = [
            AgentSpec(name=agent.entry, kind="chat" if agent.agent == "chat" else "python") for agent in self.agents
        ]
        _check_distinct("entries", [entry_name(model.spec().name, agent) for model in self.models for agent in agents])
        return self

    @model_validator(mode="after")
    def _released_templates(self) -> "RunConfig":
        if self.protocol == "released" and self.templates != ("published",):
            raise ValueError(
                f"protocol: released has one serialisation per row, so templates must be [published], got "
                f"[{', '.join(self.templates)}]; leave templates out, or choose protocol: muses"
            )
        return self

    @model_validator(mode="after")
    def _native_is_possible(self) -> "RunConfig":
        for model in self.models if "native" in self.templates else ():
            provider = PROVIDERS.get(model.model.partition(":")[0])
            if provider is not None and not provider.free_roles:
                raise ValueError(
                    f"templates includes native, but {model.model} accepts only the roles user and assistant, so its "
                    "prompt could not name the speaker; remove native, or use it in a config without models of "
                    f"{provider.name}"
                )
        return self

    @model_validator(mode="after")
    def _priced(self) -> "RunConfig":
        """Raises ValueError for a cap in USD when a price is unknown, because the cap could not be enforced."""
        if self.budget is None or self.budget.usd is None:
            return self
        called = (*self.models, *(() if self.users is None else (self.users,)))
        unknown = [spec.name for spec in (model.spec() for model in called) if prices_of(spec) is None]
        if unknown:
            raise ValueError(
                f"budget.usd cannot be enforced: no price is known for {', '.join(dict.fromkeys(unknown))}; write "
                "prices: {input: ..., output: ...} in USD per million tokens (0 for free models), or cap tokens"
            )
        return self

    def request(
        self,
        families: tuple[str, ...],
        protocol: EpisodeProtocol = MUSES,
        agents: tuple[AgentSpec, ...] = (CHAT,),
    ) -> RunRequest:
        """Returns the request from which the run's id and its plan follow.

        Args:
            families: families of the dataset; with :attr:`scenarios`, those of them that have one.
            protocol: the protocol that :attr:`protocol` names.
            agents: the agents that :attr:`agents` names.
        """
        return RunRequest(
            name=self.name,
            models=tuple(self._sampled(model) for model in self.models),
            families=families if self.scenarios else self.families or families,
            users=UsersSpec(None if self.users is None else self._sampled(self.users)),
            templates=self.templates,
            epochs=self.epochs,
            limit=self.limit,
            scenarios=self.scenarios,
            protocol=protocol,
            agents=agents,
        )

    def _sampled(self, model: ModelConfig) -> ModelSpec:
        """Returns a model with the protocol's temperature, if its own is not set."""
        spec = model.spec()
        if self.protocol == "muses" or spec.provider == "scripted" or spec.sampling.temperature is not None:
            return spec
        return replace(spec, sampling=replace(spec.sampling, temperature=RELEASED_TEMPERATURE))
