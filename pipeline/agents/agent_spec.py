"""An agent of a run with everything that a worker needs to create it."""

from dataclasses import dataclass
from typing import Literal, get_args

from muses_eval.pipeline.hashing import slug

FactsLevel = Literal["prose", "structured"]
"""``prose``: the agent receives what the model alone would read.  ``structured``: it receives
:class:`muses_eval.pipeline.agents.facts.Facts` as well."""
FACTS_LEVELS: tuple[FactsLevel, ...] = get_args(FactsLevel)

AgentKind = Literal["chat", "python", "http"]
"""``chat``: the model alone.  ``python``: a class in Python.  ``http``: a service that is called once a turn."""

TURN_TIMEOUT_S = 300.0
MAX_CALLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent under test."""

    name: str
    """Name in tables, unique in a run."""
    kind: AgentKind
    target: str = ""
    """Class of a Python agent as ``module:Class``, or address of a service."""
    code: str = ""
    """Digest of the code of a Python agent."""
    bundle: str | None = None
    """Key, in the run's store, of the archive with the module of :attr:`target`; None when it is installed."""
    options: str = "{}"
    """Options as canonical JSON of an object."""
    version: str = ""
    """Version that the agent declares."""
    facts: FactsLevel = "prose"
    turn_timeout_s: float = TURN_TIMEOUT_S
    """Time that the agent may take for one turn, without the time in which it waits for its model."""
    max_calls: int = MAX_CALLS
    """Maximum number of model calls in one episode."""

    @property
    def is_chat(self) -> bool:
        return self.kind == "chat"

    @property
    def identity(self) -> tuple[object, ...]:
        """The fields that enter an episode's id; empty for the model alone, so that its ids have no agent in them."""
        if self.is_chat:
            return ()
        return ("agent", self.name, self.kind, self.target, self.code, self.options, self.version, self.facts)


CHAT = AgentSpec(name="chat", kind="chat")
"""The model alone: the default."""


def entry_name(model: str, agent: AgentSpec) -> str:
    """Returns the name of a model with an agent on the leaderboard; the model's own name for ``chat``."""
    return model if agent.is_chat else f"{model} + {agent.name}"


def entry_slug(model: str, agent: AgentSpec) -> str:
    """Returns the name of :func:`entry_name` as a path segment."""
    return slug(entry_name(model, agent))
