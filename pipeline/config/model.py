"""A model as it is called: what travels to workers."""

from dataclasses import dataclass

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.hashing import slug


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model under test."""

    name: str
    """As it stands on the leaderboard; unique in a run."""
    provider: str
    """``scripted``, or the name of one of :data:`muses_eval.pipeline.providers.PROVIDERS`."""
    model: str
    """The provider's own name for it."""
    sampling: Sampling = Sampling()
    endpoint: Endpoint | None = None
    """None for models that need no network."""
    engine: EngineSpec | None = None
    """For the provider ``vllm`` only."""
    prices: Prices | None = None
    """None: not known, and so is what a call costs.  Models that we run ourselves cost nothing a token."""

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two models the same for an episode's id: not where they are served."""
        engine = () if self.engine is None else (self.engine.args,)
        return (self.provider, self.model, *self.sampling.identity, *engine)
