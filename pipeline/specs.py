"""What a run is made with, as frozen values that travel to workers: models, users, datasets."""

from dataclasses import asdict, dataclass
from typing import Literal

from pipeline.hashing import slug

Provider = Literal["scripted", "openai"]
"""``scripted``: built in, no network.  ``openai``: any endpoint that speaks OpenAI's chat completions."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Request options that change what a model says.  None: not sent, the provider's default holds."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    """Every request of an agent is sent ``seed + epoch``; a simulated user's, the seed plus a number of its own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers, and how patient we are with it.  Nothing here changes what a model says."""

    base_url: str
    """Up to and including the version, as ``http://127.0.0.1:8000/v1``."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None: no key is sent."""
    timeout_s: float = 120.0
    """For one try of one call."""
    max_retries: int = 5
    max_concurrency: int = 64
    """Calls in flight from one worker process."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model under test."""

    name: str
    """As it stands on the leaderboard; unique in a run."""
    provider: Provider
    model: str
    """The provider's own name for it."""
    sampling: Sampling = Sampling()
    endpoint: Endpoint | None = None
    """None for models that need no network."""

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two models the same for an episode's id: not where they are served."""
        s = self.sampling
        return (self.provider, self.model, s.temperature, s.top_p, s.max_tokens, s.seed)


@dataclass(frozen=True, slots=True)
class UsersSpec:
    """Who plays the principals.  Pinned apart from the agent, recorded in every episode."""

    model: ModelSpec | None = None
    """None: rule-based ones, deterministic and free."""

    @property
    def name(self) -> str:
        """As it stands in every episode: which model, with which sampling."""
        if self.model is None:
            return "scripted"
        sampling = [f"{key}={value}" for key, value in asdict(self.model.sampling).items() if value is not None]
        return " ".join((f"{self.model.provider}:{self.model.model}", *sampling))

    @property
    def identity(self) -> tuple[object, ...]:
        return ("scripted",) if self.model is None else ("model", *self.model.identity)


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Which scenarios: generated ones (``size`` and ``seed``) or files (``path``)."""

    path: str | None = None
    size: str = "tiny"
    """``tiny``, ``paper`` or a number of scenarios a family."""
    seed: int = 0
    most_users: int | None = None
    """Generated scenarios have from 2 to so many users; None: as in the paper."""

    @property
    def name(self) -> str:
        if self.path is not None:
            return self.path
        crowds = "" if self.most_users is None else f" with up to {self.most_users} users"
        return f"generated:{self.size}@{self.seed}{crowds}"
