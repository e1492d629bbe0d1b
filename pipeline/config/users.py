"""The simulated users: a model or rules."""

from dataclasses import asdict, dataclass

from muses_eval.pipeline.config.model_spec import ModelSpec


@dataclass(frozen=True, slots=True)
class UsersSpec:
    """The simulated users.  They are the same for all agents of a run and recorded in every episode."""

    model: ModelSpec | None = None
    """Model of the users; None for rule-based users, which are deterministic and free."""

    @property
    def name(self) -> str:
        """Name recorded in every episode: the model and its sampling."""
        if self.model is None:
            return "scripted"
        sampling = [f"{key}={value}" for key, value in asdict(self.model.sampling).items() if value is not None]
        return " ".join((f"{self.model.provider}:{self.model.model}", *sampling))

    @property
    def identity(self) -> tuple[object, ...]:
        return ("scripted",) if self.model is None else ("model", *self.model.identity)
