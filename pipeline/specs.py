"""What a run is made with, as frozen values that travel to workers: models, users, datasets."""

from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from pipeline.hashing import slug


@dataclass(frozen=True, slots=True)
class Sampling:
    """Request options that change what a model says.  None: not sent, the provider's default holds."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    """Every request of an agent is sent ``seed + epoch``; a simulated user's, the seed plus a number of its own."""
    reasoning_effort: str | None = None
    """As the provider names its levels: low, medium, high, ..."""
    extra_body: str | None = None
    """Further fields of every request, as canonical JSON of an object."""

    @property
    def identity(self) -> tuple[object, ...]:
        """Options that came later count only where they are set, so that earlier ids stay what they were."""
        later = ((name, getattr(self, name)) for name in ("reasoning_effort", "extra_body"))
        chosen = tuple(item for item in later if item[1] is not None)
        return (self.temperature, self.top_p, self.max_tokens, self.seed, *chosen)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider's account allows, over all workers and runs together.  None: not known, so it is learned."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Prompt and completion together."""
    concurrency: int | None = None
    """Calls in flight."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers, and how patient we are with it.  Nothing here changes what a model says."""

    base_urls: tuple[str, ...]
    """Servers of the same model, each up to and including the version, as ``http://127.0.0.1:8000/v1``.  Empty: those
    that this project starts."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None: no key is sent."""
    timeout_s: float = 120.0
    """For one try of one call."""
    max_retries: int = 5
    limits: Limits = Limits()
    account: str | None = None
    """Models of one account share its limits; None: the servers' addresses and the key's name tell."""


def address_problem(base_url: str) -> str | None:
    """What keeps *base_url* from being a server's address; None: it is one."""
    if any(mark in base_url for mark in "@?#"):
        # Not shown: what stands there is likely a secret, and a config is stored with its run.
        return (
            "base_url holds more than an address and a path; put keys into an environment variable and name it in "
            "api_key_env"
        )
    if not _is_address(base_url):
        return f"base_url is {base_url!r}; expected an address with its version, as http://127.0.0.1:8000/v1"
    return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return False


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float | None = None
    """Of prompt tokens that the provider had cached; None: the same as ``input``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may use at the most, all its starts together.  None: no cap."""

    usd: float | None = None
    tokens: int | None = None
    """Prompt and completion together, of agents and users."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """A vLLM server of this project."""

    replicas: tuple[int, int] = (1, 1)
    """Least and most; more than the least are started under load."""
    tensor_parallel: int = 1
    """GPUs a replica."""
    args: str = "{}"
    """vLLM's own arguments as canonical JSON of an object, as ``{"max_model_len": 8192}``."""
    python: str | None = None
    """The interpreter that has vLLM; None: the worker's own."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model under test."""

    name: str
    """As it stands on the leaderboard; unique in a run."""
    provider: str
    """``scripted``, or the name of one of :data:`pipeline.providers.PROVIDERS`."""
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
