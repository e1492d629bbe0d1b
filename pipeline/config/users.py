"""The model, or the rules, behind the simulated users."""

from dataclasses import asdict, dataclass

from muses_eval.pipeline.config.model import ModelSpec


@dataclass(frozen=True, slots=True)
class UsersSpec:
    """The simulated users.  Pinned apart from the agent and recorded in every episode."""

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
