"""The error that a server reports, in any of the known shapes.

The shapes of all wire formats are in one place, because gateways of one format pass on errors of another.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from muses_eval.pipeline.text.reply_parsing import as_text
from muses_eval.workers.providers.retry_delay import asked_pause, duration_s

CONTEXT_OVERFLOW = "context_overflow"
CONTENT_FILTER = "content_filter"

_TEXTS = ("message", "msg", "error_msg", "error_message", "errorMessage", "status_msg")
_CODES = ("code", "error_code", "type", "error_type", "__type", "status")
_DEEPEST = 5
"""Number of errors within errors that are read."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """The error that a server reports."""

    message: str
    code: str = ""
    status: int | None = None
    """HTTP status that the body has as its error code."""
    flagged: bool = False
    """True when a moderation service in front of the model flagged the prompt."""
    from_api: bool = True
    """True when the body has the form of an API's error; False for the page of a proxy, for instance."""
    retry_after_s: float | None = None
    """Seconds that the error asks to wait; None when it does not ask."""


def parse_error(document: object) -> ApiError | None:
    """Returns the error that the JSON of a response reports; None when it reports none.

    Known shapes: ``{"error": {...}}``, ``{"error": "text"}``, a list of them (Gemini), ``{"errors": [...]}``, the bare
    object of older vLLM versions, ``{"message": ...}`` at the top (Bedrock, Cohere, gateways), FastAPI's
    ``{"detail": ...}``, an ``error`` inside the first choice, and the error of the provider behind a gateway
    (``metadata.raw`` of OpenRouter).
    """
    return _parse(document, _DEEPEST)


def _parse(document: object, depth: int) -> ApiError | None:
    if isinstance(document, list):
        return _parse(document[0], depth - 1) if document and depth else None
    if not isinstance(document, dict):
        return None
    choices = document.get("choices")
    if isinstance(choices, list) and choices:
        error = choices[0].get("error") if isinstance(choices[0], dict) else None
    elif document.get("object") == "error":
        error = document
    else:
        error = document.get("error") or document.get("errors") or document.get("detail") or document.get("base_resp")
        error = error or (document if "content" not in document and _text(document) else None)
    if isinstance(error, list) and error and isinstance(error[0], str | dict) and document.get("detail") is not error:
        error = error[0]
    if not error:
        return None
    if not isinstance(error, dict):
        return _error(as_text(error), document)
    inner = _parse(error, depth - 1) if depth and error is not document and not _text(error) else None
    return inner or _error(_text(error) or as_text(error), error, depth)


def _error(message: str, fields: Mapping[str, Any], depth: int = 0) -> ApiError:
    """Returns the error with this message and these fields."""
    details, metadata = _details(fields), fields.get("metadata")
    codes = [*(detail.get("reason") for detail in details), *(fields.get(name) for name in _CODES)]
    pauses = [duration_s(detail.get("retryDelay")) for detail in details]
    error = ApiError(
        message=message,
        code=next((code for code in codes if isinstance(code, str) and not code.isdigit()), ""),
        status=next((status for name in ("code", "status") if (status := _status(fields.get(name)))), None),
        flagged=isinstance(metadata, dict) and "flagged_input" in metadata,
        retry_after_s=next((pause for pause in pauses if pause is not None), asked_pause(message)),
    )
    behind = _error_behind(metadata, depth)
    if behind is None:
        return error
    return replace(
        error,
        message=f"{message}: {behind.message}",
        code=behind.code or error.code,
        status=error.status or behind.status,
        retry_after_s=behind.retry_after_s if error.retry_after_s is None else error.retry_after_s,
    )


def _error_behind(metadata: object, depth: int) -> ApiError | None:
    """Returns the error of the provider behind a gateway, which the gateway passes on as JSON or as text."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not raw or not depth:
        return None
    document = raw
    if isinstance(raw, str):
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError):
            return ApiError(raw, retry_after_s=asked_pause(raw))
    return _parse(document, depth - 1) or ApiError(as_text(raw))


def _details(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = fields.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _text(fields: Mapping[str, Any]) -> str:
    return next((text for name in _TEXTS if isinstance(text := fields.get(name), str) and text), "")


def _status(code: object) -> int | None:
    """Returns the HTTP status that an error has as its code, as a number or as digits."""
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and code in range(400, 600) else None
