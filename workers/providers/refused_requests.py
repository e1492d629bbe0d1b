"""Counts requests that the server calls wrong, to tell a model that refuses all of them from one that refuses some.

One refused request says nothing about the next: its prompt may be the reason.  When the first requests are all refused,
their common part is the reason, such as an option that the server does not know, and the model ends.  Requests count in
the order in which they began, so quick refusals do not end a model whose slow answers are still on their way.
"""

import math

from muses_eval.pipeline.errors import ModelFailure

MOST_REFUSED = 25
"""Number of refused requests, without any answer, that end a model."""


class RefusedRequests:
    """The refused requests of one model, over all its calls in this process."""

    def __init__(self) -> None:
        self._begun, self._answered = 0, False
        self._in_flight: set[int] = set()
        self._refused: list[int] = []

    def begin(self) -> int:
        """Returns the number of a request that begins."""
        self._begun += 1
        self._in_flight.add(self._begun)
        return self._begun

    def end(self, number: int) -> None:
        """Records the end of a request, whatever it was."""
        self._in_flight.discard(number)

    def answered(self) -> None:
        """Records an answer: later refusals do not end the model."""
        self._answered = True

    def failed(self, number: int, failure: ModelFailure) -> ModelFailure:
        """Records a failure; returns it, as one that ends the model when all requests so far were refused."""
        if self._answered or failure.kind != "internal" or failure.retryable or failure.ends_model:
            return failure
        self._refused = sorted((*self._refused, number))[:MOST_REFUSED]
        earliest = min(self._in_flight - {number}, default=math.inf)
        if len(self._refused) < MOST_REFUSED or earliest < self._refused[-1]:
            return failure
        return ModelFailure(failure.kind, failure.problem, failure.retry_after_s, retryable=False, ends_model=True)
