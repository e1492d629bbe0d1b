"""The interface of a model, which gives every episode an agent and a harness its calls.

A model is opened once, probed once, used by many episodes at the same time, and closed.  It is used from one event
loop at a time; the caller closes it before that loop ends.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from muses_eval.pipeline.episode.interfaces import Agent, Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import FailureKind, ModelFailure, MusesError
from muses_eval.pipeline.families.family import Family
from muses_eval.workers.providers.chat_request import ChatRequest


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """The episode for which an agent is requested.  Models behind a network read only the last two fields."""

    family: Family[Any]
    scenario: Scenario[Any]
    agent_seed: int
    """Seed of a scripted agent's random numbers."""
    seed_offset: int
    """Added to the sampling seed: the epoch for an agent, an episode's own number for a simulated user."""
    session: str = ""
    """Name of the session, whose calls begin with the same prompt and so go to the same server."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The reason why a model cannot be called now."""

    text: str
    """Message for people."""
    lasting: bool
    """True when it lasts until a person repairs it: a key that is missing or refused, or an unknown model.  False when
    the model may recover by itself."""
    kind: FailureKind = "auth"
    """Kind of failure that its episodes would have had."""

    @classmethod
    def of(cls, error: ModelFailure | MusesError) -> "Unavailable":
        """Returns the reason from the error of a client that could not be opened (usually no key) or was refused."""
        if isinstance(error, ModelFailure):
            return cls(str(error), error.ends_model, error.kind)
        return cls(str(error), lasting=True)

    def __str__(self) -> str:
        return self.text


class ModelAgent(Agent, Protocol):
    """A model in one episode: the agent under test, or what the harness under test calls."""

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:
        """Returns the reply to the request of a harness.  Raises ModelFailure when the model returns none.

        *observation* is the input of the turn; only rule-based models, which read no messages, use it.
        """
        ...


class Model(Protocol):
    """One model, ready to be called."""

    def agent(self, request: EpisodeRequest) -> ModelAgent:
        """Returns the model in one episode; it needs no closing."""
        ...

    async def probe(self) -> None:
        """Raises ModelFailure when the endpoint cannot be reached or refuses the key.  Not retried."""
        ...

    async def close(self) -> None:
        """Closes all connections.  May be called twice, and on a model that was never called."""
        ...
