"""Classifies a server's error: as an outcome that the agent caused, or as a kind of failure.

The error texts of all wire formats are in one place, because gateways of one format pass on errors of another.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from muses_eval.pipeline.errors import FailureKind
from muses_eval.pipeline.text.reply_parsing import as_text

CONTEXT_OVERFLOW = "context_overflow"
CONTENT_FILTER = "content_filter"

MAX_RETRY_AFTER_S = 24 * 3600.0

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
_OVERFLOW_WORDS = re.compile(
    r"context (length|size|window|limit)|maximum model length|prompt is too long|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_WINDOW = re.compile(
    r"(?:context length|model length)(?: is| of)?(?: only)? (\d[\d,]{0,11})"
    r"|exceed context limit: [\d +]{1,40}> (\d{1,12})",
    re.IGNORECASE,
)
_FILTER_CODES = frozenset({"content_filter", "content_policy", "content_policy_violation"})
_FILTER_WORDS = "blocked by content filtering policy"
_NO_MONEY_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
_NO_MONEY_WORDS = "credit balance is too low"
_NO_MODEL_CODES = frozenset({"model_not_found"})
_NO_MODEL_WORDS = re.compile(r"is not a valid model|invalid model id", re.IGNORECASE)
_STATUS_KINDS: dict[int, FailureKind] = {
    401: "auth",
    402: "auth",  # the account has no credit left
    403: "auth",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
}


@dataclass(frozen=True, slots=True)
class ApiError:
    """The error that a server reports, in any of the known shapes."""

    message: str
    code: str = ""
    status: int | None = None
    """HTTP status that the body has as its error code."""
    flagged: bool = False
    """True when a moderation service in front of the model flagged the prompt."""
    from_api: bool = True
    """True when the body has the form of an API's error; False for the page of a proxy, for instance."""


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """The class of an error; the fields are those of ModelFailure."""

    kind: FailureKind
    retryable: bool
    ends_model: bool


def parse_error(document: object) -> ApiError | None:
    """Returns the error that the JSON of a response reports; None when it reports none.

    Known shapes: ``{"error": {...}}``, ``{"error": "text"}``, the bare object of older vLLM versions, FastAPI's
    ``{"detail": ...}``, and an ``error`` inside the first choice.
    """
    if not isinstance(document, dict):
        return None
    choices = document.get("choices")
    if isinstance(choices, list) and choices:
        error = choices[0].get("error") if isinstance(choices[0], dict) else None
    elif document.get("object") == "error":
        error = document
    else:
        error = document.get("error") or document.get("detail")
    if not error:
        return None
    if not isinstance(error, dict):
        return ApiError(as_text(error))
    code, kind, metadata = error.get("code"), error.get("type"), error.get("metadata")
    return ApiError(
        message=as_text(error.get("message") or error),
        code=next((word for word in (code, kind) if isinstance(word, str)), ""),
        status=code if isinstance(code, int) and code in range(400, 600) else None,
        flagged=isinstance(metadata, dict) and "flagged_input" in metadata,
    )


def scored_finish_reason(status: int, error: ApiError, max_tokens: int | None) -> str | None:
    """Returns the finish reason when a refused request is an outcome of the episode; None when it is a failure.

    A prompt that is longer than the model's context is an outcome, unless ``max_tokens`` alone fills the context: then
    no prompt would fit, which is an error in the config and must not become a score.
    """
    if status in (400, 403) and (error.code in _FILTER_CODES or error.flagged or _FILTER_WORDS in error.message):
        return CONTENT_FILTER
    if status not in (400, 413, 422):
        return None
    if error.code not in _OVERFLOW_CODES and not _OVERFLOW_WORDS.search(error.message):
        return None
    window = _WINDOW.search(error.message)
    if window and max_tokens is not None and max_tokens >= int((window[1] or window[2]).replace(",", "")):
        return None
    return CONTEXT_OVERFLOW


def classify(status: int, error: ApiError) -> ErrorClass:
    """Classifies an error: its kind, whether a retry can help, and whether the model's other calls would fail too."""
    no_money = error.code in _NO_MONEY_CODES or (status == 400 and _NO_MONEY_WORDS in error.message)
    kind = (
        "auth" if status == 400 and no_money else _STATUS_KINDS.get(status, "server" if status >= 500 else "internal")
    )
    no_model = status in (400, 404) and (
        error.code in _NO_MODEL_CODES or _NO_MODEL_WORDS.search(error.message) is not None
    )
    ends_model = no_money or no_model or (error.from_api and status in (401, 402, 403, 404))
    return ErrorClass(kind, kind not in ("auth", "internal") and not no_money, ends_model)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Returns the seconds that the server asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date.

    Never negative and at most a day; None when neither header is present and valid.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return min(max(seconds * unit, 0.0), MAX_RETRY_AFTER_S)
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(date.timestamp() - now, 0.0), MAX_RETRY_AFTER_S)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
