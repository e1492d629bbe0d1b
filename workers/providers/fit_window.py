"""Makes a call fit the context window: with a smaller ``max_tokens``, when the prompt leaves room for one."""

from collections.abc import Awaitable, Callable

from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.adapter import Completion
from muses_eval.workers.providers.api_error import CONTEXT_OVERFLOW
from muses_eval.workers.providers.context_window import TRIAL_TOKENS, WindowRefusal

_MOST_REPEATS = 3

Ask = Callable[[int | None], Awaitable[Completion | WindowRefusal]]
"""Makes one attempt with this ``max_tokens``; None sends none.  Raises ModelFailure."""


async def within_window(ask: Ask, max_tokens: int | None) -> Completion:
    """Returns the completion of a request with *max_tokens*, or with as many as the prompt leaves room for.

    Its finish reason is ``context_overflow``, without text, when the prompt alone does not fit.  When the server does
    not say which of the two is too long, a request with a few tokens finds out; its text is not used.

    Raises:
        ModelFailure: the prompt fits, but the server accepts no ``max_tokens`` that is known to fit; or that of *ask*.
    """
    limit = max_tokens
    answer = await ask(limit)
    for _ in range(_MOST_REPEATS):
        if isinstance(answer, Completion):
            return answer
        fits = answer.prompt_fits(limit)
        if fits is False:
            return Completion("", CONTEXT_OVERFLOW)
        smaller = answer.room() if fits else TRIAL_TOKENS
        if smaller is None or (limit is not None and smaller >= limit):
            raise _too_much(answer, max_tokens)
        repeated = await ask(smaller)
        if fits is None and isinstance(repeated, Completion):
            raise _too_much(answer, max_tokens)
        answer, limit = repeated, smaller
    if isinstance(answer, Completion):
        return answer
    raise _too_much(answer, max_tokens)


def _too_much(refusal: WindowRefusal, max_tokens: int | None) -> ModelFailure:
    """Returns the failure of a config whose ``max_tokens`` is too large; it ends the model when no prompt can fit."""
    hopeless = refusal.window is not None and max_tokens is not None and max_tokens >= refusal.window
    wanted = "the server's own limit of the answer" if max_tokens is None else f"max_tokens {max_tokens}"
    problem = f"{refusal.message} (the prompt fits, but not with {wanted}: set a smaller sampling.max_tokens)"
    return ModelFailure("internal", problem, retryable=False, ends_model=hopeless)
