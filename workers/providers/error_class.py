"""The class of a server's error: an outcome that the agent caused, or a kind of failure.

Known are the codes and the wordings of OpenAI, Anthropic, Azure, Bedrock, Cohere, DashScope, DeepSeek, Gemini, Groq,
Mistral, Moonshot, OpenRouter, SGLang, TGI, vLLM and xAI.
"""

import re
from dataclasses import dataclass

from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.workers.providers.api_error import ApiError

_FILTER_CODES = frozenset(
    {"content_filter", "content_policy", "content_policy_violation", "moderation_blocked", "data_inspection_failed"}
    | {"DataInspectionFailed"}
)
_FILTER_WORDS = re.compile(
    r"blocked by content filtering policy|content management policy|content exists risk|inappropriate content"
    r"|violates? (?:our |the )?(?:usage guidelines|usage policy|usage policies|content policy)"
    r"|rejected (?:as a result of|by) our safety system",
    re.IGNORECASE,
)
_NO_MONEY_CODES = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_error", "exceeded_current_quota_error", "Arrearage"}
)
_NO_MONEY_WORDS = re.compile(
    r"credit balance is too low|insufficient (?:balance|credits|funds)|account (?:is )?(?:in arrears|suspended)",
    re.IGNORECASE,
)
_BAD_KEY_CODES = frozenset({"API_KEY_INVALID", "invalid_api_key", "InvalidApiKey", "authentication_error"})
_BAD_KEY_WORDS = re.compile(
    r"api[ _-]?key (?:is )?(?:not valid|invalid|expired|not found)|(?:invalid|incorrect|wrong) api[ _-]?key",
    re.IGNORECASE,
)
_NO_MODEL_CODES = frozenset({"model_not_found", "DeploymentNotFound"})
_NO_MODEL_WORDS = re.compile(
    r"is not a valid model|(?:invalid|unknown|no such) model\b"
    r"|\bmodel\b.{0,120}?(?:not found|does not exist|not exist\b|is not available|not supported by any provider)",
    re.IGNORECASE | re.DOTALL,
)
_BUSY_CODES = frozenset({"overloaded_error", "overloaded", "engine_overloaded_error"})
_BUSY_WORDS = re.compile(r"overloaded|loading|warming up|at capacity|too many requests|try again later", re.IGNORECASE)
_ABOVE_LIMIT_WORDS = re.compile(r"request too large for|requested \d+.{0,20}reduce your message size", re.IGNORECASE)
_STATUS_KINDS: dict[int, FailureKind] = {
    401: "auth",
    402: "auth",  # the account has no credit left
    403: "auth",
    407: "auth",  # of a proxy
    408: "timeout",
    409: "server",  # a conflict with another request
    421: "server",  # the connection reached another server
    423: "server",
    424: "server",  # the model behind the API failed
    425: "server",
    429: "rate_limit",
    499: "server",  # a gateway closed the connection
    504: "timeout",
    524: "timeout",
}
_OVERLOADED = frozenset({498, 529})
"""Groq's and Anthropic's statuses for a server without capacity."""
_LASTING = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 407, 410})
"""Statuses of refusals that all calls of a model get when it is set up wrongly."""
_CONFIRMED = 2
"""Number of such refusals in a row that end a model: one may come from a replica or a gateway that is out of step."""
_CONFIRMED_PAGES = 5
"""The same for pages of a proxy."""


class ServerOverloaded(ModelFailure):
    """The server has no capacity now; the limits of the account are not reached."""


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """The class of an error that is a failure."""

    kind: FailureKind
    retryable: bool
    """True when the same request may succeed later."""
    ends_after: int | None = None
    """Number of such errors in a row, before the first answer, after which the model is not called again; None when
    other calls of the model may be answered."""
    overload: bool = False
    """True when the server has no capacity: it is retried with the patience of a rate limit, and no limit is learned
    from it."""

    def failure(self, problem: str, retry_after_s: float | None) -> ModelFailure:
        """Returns the failure of a call that got this error."""
        made = ServerOverloaded if self.overload else ModelFailure
        return made(self.kind, problem, retry_after_s, self.retryable)


def filtered(status: int, error: ApiError) -> bool:
    """Returns True when a content filter refused the prompt, which is an outcome of the episode."""
    if status not in (400, 403, 422):
        return False
    return error.code in _FILTER_CODES or error.flagged or _FILTER_WORDS.search(error.message) is not None


def classify(status: int, error: ApiError) -> ErrorClass:
    """Classifies an error: its kind, whether a retry can help, and whether the model's other calls would fail too."""
    known = _known(status, error)
    if known is not None:
        return known
    kind = _STATUS_KINDS.get(status, "server" if status >= 500 else "internal")
    if status in _LASTING:
        return ErrorClass(kind, retryable=False, ends_after=_confirmations(status, error))
    return ErrorClass(kind, retryable=kind not in ("auth", "internal"))


def _known(status: int, error: ApiError) -> ErrorClass | None:
    """Returns the class of an error whose code or words say more than its status; None for all others."""
    if status in range(400, 500) and (error.code in _NO_MONEY_CODES or _NO_MONEY_WORDS.search(error.message)):
        return ErrorClass("rate_limit" if status == 429 else "auth", retryable=False, ends_after=1)
    if status in (400, 401, 403) and (error.code in _BAD_KEY_CODES or _BAD_KEY_WORDS.search(error.message)):
        return ErrorClass("auth", retryable=False, ends_after=1)
    if status in (400, 404) and (error.code in _NO_MODEL_CODES or _NO_MODEL_WORDS.search(error.message)):
        return ErrorClass("internal", retryable=False, ends_after=1)
    if status in (413, 429) and _ABOVE_LIMIT_WORDS.search(error.message):
        return ErrorClass("rate_limit", retryable=False)  # larger than the account's tokens per minute
    if _overloaded(status, error):
        return ErrorClass("rate_limit", retryable=True, overload=True)
    return None


def _confirmations(status: int, error: ApiError) -> int:
    if status < 400:
        return _CONFIRMED
    if not error.from_api:
        return _CONFIRMED_PAGES
    return 1 if status in (401, 402) else _CONFIRMED


def _overloaded(status: int, error: ApiError) -> bool:
    if status in _OVERLOADED or (status >= 500 and error.code in _BUSY_CODES):
        return True
    return status == 503 and error.from_api and _BUSY_WORDS.search(error.message) is not None
