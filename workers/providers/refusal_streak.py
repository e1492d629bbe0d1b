"""Counts refusals that look permanent, to tell a wrong key or name from a single odd response.

Before its first answer, a model ends after as many refusals as their class says: one for a wrong key, two for a bare
403 or 404, which a replica or a gateway that is out of step may send.  A model that has answered was set up correctly,
so it ends only after several in a row.  Until then each refusal is retried.

Calls that were in flight together meet the same moment of a server, so their refusals count once: a refusal counts when
its attempt began after the last one that counted.
"""

from muses_eval.pipeline.errors import ModelFailure

AFTER_AN_ANSWER = 5
"""Number of refusals in a row that end a model which has answered."""


class RefusalStreak:
    """The refusals of one model in a row, over all its calls in this process."""

    def __init__(self) -> None:
        self._answered = False
        self.length = 0
        """Number of refusals that count since the last answer; an attempt notes it when it begins."""

    def answered(self) -> None:
        """Records an answer, or another sign that the model is set up correctly."""
        self._answered, self.length = True, 0

    def judge(self, failure: ModelFailure, ends_after: int, length_before: int) -> ModelFailure:
        """Records a refusal, and returns it as final when it ends the model, and otherwise as one to retry.

        Args:
            failure: the refusal.
            ends_after: number of refusals that end a model without an answer.
            length_before: :attr:`length` when the attempt began.
        """
        self.length += length_before == self.length
        ends = self.length >= (max(ends_after, AFTER_AN_ANSWER) if self._answered else ends_after)
        return ModelFailure(failure.kind, failure.problem, failure.retry_after_s, retryable=not ends, ends_model=ends)
