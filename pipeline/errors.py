"""Exceptions of this project.

There are two kinds:

* :class:`MusesError`: a problem that the user can fix, in a config, a dataset or a store.  The command line prints its
  text without a traceback and exits with ``exit_code``.
* :class:`ModelFailure`: a model call that returned no reply.  It never becomes a score.  It becomes the outcome of an
  episode (``infra_failed`` or ``simulator_failed``) together with its :data:`FailureKind`.

The content of a reply is never an error: nonsense, refusals and truncated replies are scored.

Exceptions cross process boundaries, so each one passes all its fields to the constructor and can be pickled.
"""

from typing import Literal

FailureKind = Literal["rate_limit", "timeout", "transport", "server", "auth", "internal"]


class MusesError(Exception):
    """A problem that the user can fix.  The text says what came, where, what was expected and what to do."""

    exit_code = 2


class ConfigError(MusesError):
    """The configuration or the command line is invalid."""


class DatasetError(MusesError):
    """A dataset cannot be read.

    Args:
        source: name of the file or dataset.
        problem: what came and what was expected.
        line: 1-based line of the file; None when the problem concerns the whole source.
        field: field of the row; None when the problem concerns the whole row.
        row_id: id of the row; None when it has none.
    """

    def __init__(
        self,
        source: str,
        problem: str,
        line: int | None = None,
        field: str | None = None,
        row_id: str | None = None,
    ) -> None:
        super().__init__(source, problem, line, field, row_id)
        self.source, self.problem, self.line, self.field, self.row_id = source, problem, line, field, row_id

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}, line {self.line}"
        if self.row_id is not None:
            place += f", id {self.row_id!r}"
        return f"{place}: {self.problem}" if self.field is None else f"{place}, field {self.field!r}: {self.problem}"


class StoreError(MusesError):
    """The store cannot be read or written."""


class EndpointError(MusesError):
    """No model of the run can be reached, so no episode can be played."""


class Stalled(MusesError):
    """The run was stopped because no model replied for too long.  Finished episodes are stored."""

    exit_code = 3


class Interrupted(MusesError):
    """The run was stopped by a signal.  Finished episodes are stored."""

    exit_code = 130


class ModelFailure(Exception):
    """A model call that returned no reply after all its retries.

    Args:
        kind: cause of the failure.
        problem: description of one line, for people.
        retry_after_s: seconds that the provider asked to wait; None when it did not ask.
        retryable: True when the same call may succeed later.
        ends_model: True when every other call of the model would fail too, whatever its prompt: the key is wrong, the
            model is unknown, or the account has no credit.
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
