"""The vocabulary of failure.

Two kinds of trouble, kept apart everywhere:

* :class:`MusesError`: the user can mend it (a config, a dataset, a store).  The command line prints its text without
  a traceback and exits with ``exit_code``.
* :class:`ModelFailure`: a model call that did not come back with an answer.  It never becomes a score; it becomes an
  episode's outcome (``infra_failed`` or ``simulator_failed``) together with its :data:`FailureKind`.

What a model *says* is never an error: nonsense, refusals and cut-off replies are scored.

Errors travel between processes, so each keeps its facts as constructor arguments and survives pickling.
"""

from typing import Literal

FailureKind = Literal["rate_limit", "timeout", "transport", "server", "auth", "internal"]


class MusesError(Exception):
    """Something the user can mend: the text says what came, where, what was expected and what to do."""

    exit_code = 2


class ConfigError(MusesError):
    """The configuration, or the command line that completes it, cannot be used."""


class DatasetError(MusesError):
    """A dataset cannot be read.

    Args:
        source: file or dataset name.
        problem: what came and what was expected.
        line: 1-based line of the file, or None when the whole source is meant.
        field: the row's field, or None when the whole row is meant.
    """

    def __init__(self, source: str, problem: str, line: int | None = None, field: str | None = None) -> None:
        super().__init__(source, problem, line, field)
        self.source, self.problem, self.line, self.field = source, problem, line, field

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{place}: {self.problem}" if self.field is None else f"{place}, field {self.field!r}: {self.problem}"


class StoreError(MusesError):
    """The store cannot be read or written."""


class EndpointError(MusesError):
    """No model of the run can be reached, so there is nothing to play."""


class Stalled(MusesError):
    """No model has answered for so long that the run was ended; what was finished is stored."""

    exit_code = 3


class Interrupted(MusesError):
    """The run was stopped from outside; what was finished is stored."""

    exit_code = 130


class ModelFailure(Exception):
    """A model call that gave no answer, after all its retries.

    Args:
        kind: what failed.
        problem: one line for people.
        retry_after_s: how long the provider asked to wait, or None when it did not say.
        retryable: whether the same call may succeed later.
        ends_model: whether every other call of the model would fail as well, whatever its prompt: a wrong key, an
            unknown model, an account without credit.
    """

    def __init__(
        self,
        kind: FailureKind,
        problem: str,
        retry_after_s: float | None = None,
        retryable: bool = True,
        ends_model: bool = False,
    ) -> None:
        super().__init__(kind, problem, retry_after_s, retryable, ends_model)
        self.kind: FailureKind = kind
        self.problem, self.retry_after_s, self.retryable = problem, retry_after_s, retryable
        self.ends_model = ends_model

    def with_problem(self, problem: str) -> "ModelFailure":
        """Returns the same failure with another description."""
        return ModelFailure(self.kind, problem, self.retry_after_s, self.retryable, self.ends_model)

    def __str__(self) -> str:
        return f"{self.kind}: {self.problem}"
