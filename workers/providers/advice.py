"""Advice that is added to the message of a refusal: its most likely cause, and the key of the config to change."""

import re
from collections.abc import Mapping

from muses_eval.pipeline.errors import FailureKind
from muses_eval.workers.providers.api_error import ApiError

_BY_STATUS: Mapping[int, str] = {
    401: "check the key in the variable that api_key_env names",
    404: "check base_url, which ends before /chat/completions or /messages, and the model's name",
    405: "check base_url, which ends before /chat/completions or /messages",
    413: "the request is larger than the server or a proxy in front of it accepts",
}
_BY_WORDS: Mapping[str, str] = {
    r"support stream mode|only supports? stream|stream\w* (?:is|must be) (?:required|enabled)|enable.{0,20}stream": (
        "set stream: true for this model"
    ),
    r"system (?:role|message)s?.{0,30}(?:not supported|unsupported|not allowed)|not support.{0,20} system": (
        "set system_role: fold for this model"
    ),
    r"`?temperature`? and `?top_p`?": "leave one of them out of sampling",
    r"temperature": "change or leave out sampling.temperature",
    r"reasoning_effort": "change or leave out sampling.reasoning_effort",
    r"\btop_p\b": "change or leave out sampling.top_p",
    r"\bseed\b": "leave out sampling.seed",
    r"max_(?:completion_)?tokens": "lower sampling.max_tokens",
}
"""Advice for refused requests, by words of the server; the first that occurs counts."""


def advice(status: int, error: ApiError, kind: FailureKind, *, key_sent: bool, location: str = "") -> str:
    """Returns the advice for a refusal; empty when the server's own words are all that is known.

    Args:
        status: HTTP status of the refusal.
        error: what the server reports.
        kind: kind of the failure.
        key_sent: whether the request had a key or a header of the config.
        location: address to which a redirect leads; empty when it names none.
    """
    if status in range(300, 400):
        where = f" to {location}" if location else ""
        return f"a redirect{where}: base_url must be the final address"
    if kind == "auth" and status != 402 and not key_sent:
        return "no key was sent: name its environment variable in api_key_env"
    if status in (400, 422):
        hints = (hint for words, hint in _BY_WORDS.items() if re.search(words, error.message, re.IGNORECASE))
        return next(hints, "")
    return _BY_STATUS.get(status, "")
