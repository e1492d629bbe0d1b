"""The finish reasons of all providers, in OpenAI's words."""

from collections.abc import Mapping

from muses_eval.workers.providers.adapter import NoCompletionError
from muses_eval.workers.providers.api_error import CONTENT_FILTER

_LENGTH = "length"
_REASONS: Mapping[str, frozenset[str]] = {
    "stop": frozenset(
        {"stop", "end_turn", "stop_sequence", "stop_token", "eos", "eos_token", "eos_token_id", "end_of_text"}
        | {"complete", "completed", "end", "finish", "finished", "done"}
    ),
    # Cut off: at a limit, or because the server ended the reply before the model did.
    _LENGTH: frozenset(
        {"length", "max_tokens", "max_length", "max_new_tokens", "max_output_tokens", "model_length", "token_limit"}
        | {"model_context_window_exceeded", "context_length", "context_length_exceeded", "error_limit", "incomplete"}
        | {"truncated", "time_limit", "pause_turn", "abort", "aborted", "cancel", "cancelled", "canceled"}
    ),
    CONTENT_FILTER: frozenset(
        {"content_filter", "content_filtered", "content_policy", "content_policy_violation", "safety", "recitation"}
        | {"blocklist", "prohibited_content", "spii", "image_safety", "language", "sensitive", "blocked", "moderation"}
        | {"refusal", "error_toxic", "guardrail_intervened", "model_armor", "responsible_ai_policy_violation"}
    ),
    "tool_calls": frozenset(
        {"tool_calls", "tool_call", "tool_use", "function_call", "malformed_function_call", "unexpected_tool_call"}
    ),
}
_BY_WORD = {word: reason for reason, words in _REASONS.items() for word in words}
_BROKEN = frozenset(
    {"error", "failed", "timeout", "network_error", "internal_error", "server_error", "insufficient_system_resource"}
)
"""Reasons with which a server reports that it failed; the text is not the model's whole reply."""


def finish_reason(reported: object) -> str:
    """Returns a provider's finish reason in OpenAI's words, and one that no provider is known for unchanged.

    A reason with details (``content_filter: PROHIBITED_CONTENT``) is read by its first part, in any case.  Without a
    reason the result is ``unknown``.

    Raises:
        NoCompletionError: the reason is that the server failed.
    """
    if not isinstance(reported, str) or not reported.strip():
        return "unknown"
    word = reported.partition(":")[0].strip().casefold().replace("-", "_").replace(" ", "_")
    word = word.rpartition(".")[2].removeprefix("finish_reason_")
    if word in _BROKEN:
        raise NoCompletionError(f"finish_reason is {reported!r}")
    return _BY_WORD.get(word, reported)
