"""The protocol of a model: it gives every episode an agent.

A model is opened once, probed once, used by many episodes at the same time, and closed.  It is used from one event
loop at a time; closing it before that loop ends is the caller's duty.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from muses_eval.pipeline.episode.protocol import Agent
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import FailureKind, ModelFailure, MusesError
from muses_eval.pipeline.families.family import Family


@dataclass(frozen=True, slots=True)
class EpisodeRequest:
    """The episode that an agent is wanted for.  Models behind a network read only the last two fields."""

    family: Family[Any]
    scenario: Scenario[Any]
    agent_seed: int
    """Seed of a scripted agent's random numbers."""
    seed_offset: int
    """Added to the sampling seed: the epoch for an agent, an episode's own number for a simulated user."""
    session: str = ""
    """Calls of one session begin with the same prompt, so they go to the same server where there are several."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why a model cannot be called now."""

    text: str
    """Message for people."""
    lasting: bool
    """Whether it stays so until somebody repairs it: a key that is missing or refused, an unknown model.  False: the
    model may be back later."""
    kind: FailureKind = "auth"
    """Kind of failure that its episodes would have had."""

    @classmethod
    def of(cls, error: ModelFailure | MusesError) -> "Unavailable":
        """From the error of a client that could not be opened (usually no key), or of one that was refused."""
        if isinstance(error, ModelFailure):
            return cls(str(error), error.ends_model, error.kind)
        return cls(str(error), lasting=True)

    def __str__(self) -> str:
        return self.text


class Model(Protocol):
    """One model under test, ready to be asked."""

    def agent(self, request: EpisodeRequest) -> Agent:
        """A fresh agent for one episode; it needs no closing."""
        ...

    async def probe(self) -> None:
        """Raises ModelFailure when the endpoint cannot be reached or refuses the key.  One try, no retries."""
        ...

    async def close(self) -> None:
        """Ends all connections.  May be called twice, and on a model that was never asked."""
        ...
