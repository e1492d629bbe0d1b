"""A model with everything that a worker needs to call it."""

from dataclasses import dataclass

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.system_role import SystemRole
from muses_eval.pipeline.hashing import slug


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model under test."""

    name: str
    """Name on the leaderboard, unique in a run."""
    provider: str
    """``scripted``, or the name of one of :data:`muses_eval.pipeline.providers.PROVIDERS`."""
    model: str
    """The provider's name for the model."""
    sampling: Sampling = Sampling()
    endpoint: Endpoint | None = None
    """None for models that need no network."""
    engine: EngineSpec | None = None
    """Engine settings; only for the provider ``vllm``."""
    prices: Prices | None = None
    """Token prices; None when they are unknown or the model is free because this project serves it."""
    system_role: SystemRole = "send"

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def identity(self) -> tuple[object, ...]:
        """The fields that enter an episode's id.  The address that serves the model is not among them."""
        engine = () if self.engine is None else (self.engine.args,)
        role = () if self.system_role == "send" else (("system_role", self.system_role),)
        return (self.provider, self.model, *self.sampling.identity, *engine, *role)
