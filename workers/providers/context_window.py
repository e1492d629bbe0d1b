"""Refusals of requests that do not fit the context window of a model.

A request needs room for its prompt and for ``max_tokens``.  When the prompt alone does not fit, the agent let the
episode grow too long: an outcome.  When the prompt fits, but not together with ``max_tokens``, the config asks for too
much: the call is repeated with a smaller ``max_tokens``, or fails.  The numbers are in the server's message, in the
wording of each server.
"""

import re
from dataclasses import dataclass

from muses_eval.workers.providers.api_error import ApiError

TRIAL_TOKENS = 16
"""``max_tokens`` of a request that finds out whether the prompt fits: small, and accepted by every model."""

_CODES = frozenset(
    {"context_length_exceeded", "exceed_context_size_error", "request_too_large", "context_window_exceeded"}
    | {"string_above_max_length", "tokens_limit_reached"}
)
_LIMIT_CODES = frozenset({"rate_limit_exceeded", "tokens", "ThrottlingException"})
_LIMIT_WORDS = re.compile(
    r"per (?:minute|hour|day)|\bTP[MD]\b|rate limit|please wait|quota|\barray too long", re.IGNORECASE
)
"""Other limits: of the account, or of the number of messages."""
_WORDS = re.compile(
    r"""context\ (?:length|size|window|limit) | ContextWindowExceeded
      | maximum\ (?:context|model|prompt|input|sequence)\ length | \bmax_(?:seq_len|model_len|input_length)\b
      | \b(?:prompt|inputs?|conversation|messages)\b[^.]{0,50}?\btoo\ (?:long|large)
      | \b(?:prompt|inputs?|messages|token\ count)\b[^.]{0,80}?\b(?:exceed\w*|(?:long|great|larg)er\ than|more\ than)
        \b[^.]{0,80}?\b(?:tokens?|length|limit|maximum|max)
      | \btokens\ in\ the\ prompt\b[^.]{0,20}?\bexceeds? | \btoken\ count\b[^.]{0,40}?\bonly\ supports
      | \btokens\ \(prompt\ and\ prediction\)\ cannot\ exceed | \bexpected\ maxLength:\ \d
      | \btoo\ many\ (?:input\ |prompt\ )?tokens\b
      | `?\binputs\b`?[^.]{0,60}?\bmust\ (?:be\ <=|have\ less\ than) | \bprompt_tokens\b[^.]{0,40}?\bmust\ be
      | range\ of\ input\ length | (?:model\ token|total\ tokens)\ limit\b
      | max_tokens\ must\ be\ at\ least\ 1,\ got\ -
      | reduce\ the\ length\ of\ (?:the|your)\ (?:messages|prompt|input)""",
    re.IGNORECASE | re.VERBOSE,
)
_EXCESS = re.compile(r"exceed|too (?:long|large|many)|(?:long|great|larg)er than|maximum", re.IGNORECASE)
_ANSWER_TOO = re.compile(
    r"max_\w{0,12}tokens|max[ _]?new|completion|prediction|output|in total|a total of", re.IGNORECASE
)
_PROMPT_ONLY = re.compile(r"max_tokens must be at least 1, got -|\b(?:prompt|inputs?|messages)\b", re.IGNORECASE)
_NUMBER = r"(\d[\d,]{0,14})"
_WINDOW_NAME = (
    r"(?:context[ _](?:length|window|size|limit)|maximum (?:model|prompt|input|sequence) length"
    r"|max_(?:seq_len|model_len|input_length)|max input tokens|(?:tokens?|configured) limit|limit for this model)"
)
_WINDOW = (
    rf"context limit: [\d +]{{1,40}}> {_NUMBER}",
    rf"{_WINDOW_NAME}(?: is| of|:)?(?: only)? ?\(?{_NUMBER}",
    rf"{_NUMBER} (?:tokens? )?maximum\b",
    rf"(?:tokens allowed|maximum)(?: is| of|:)? ?\(?{_NUMBER}",
    rf"(?:must be <=|must have less than|cannot exceed|less than or equal to|only supports up to) {_NUMBER}",
    rf"tokens in the prompt \([\d,]{{1,15}}\) exceeds? {_NUMBER}",
)
_PROMPT = (
    rf"context limit: {_NUMBER} \+",
    rf"{_NUMBER}(?: tokens)? (?:in|from|of) (?:the |your )?(?:input messages|messages|prompt|text input|input)",
    rf"(?:has|have|with|passed|contains?)(?: at least| about)? {_NUMBER} (?:input |prompt )?tokens",
    rf"messages resulted in {_NUMBER}",
    rf"too long: {_NUMBER}",
    rf"given: {_NUMBER}",
    rf"(?:prompt_tokens|token count|(?:input|prompt|request)(?: length)?)(?::| is)? \(?(?:length )?{_NUMBER}",
    rf"tokens in the prompt \({_NUMBER}\)",
    rf"(?:number of input tokens|in the prompt cannot exceed \d{{1,9}} - received) {_NUMBER}",
)
_REQUESTED = (
    rf"requested (?:a total of |about )?{_NUMBER} tokens",
    rf"\(prompt and prediction\) cannot exceed \d{{1,9}} - received {_NUMBER}",
)


@dataclass(frozen=True, slots=True)
class WindowRefusal:
    """A request that the server refused because it does not fit the context window."""

    message: str
    window: int | None = None
    """Tokens of the window, or of the longest prompt; None when the message does not say."""
    prompt: int | None = None
    """Tokens of the prompt; None when the message does not say."""
    prompt_only: bool = False
    """True when the message is about the prompt alone."""

    def room(self) -> int | None:
        """Returns the tokens that the prompt leaves for the answer; None when they are unknown."""
        return None if self.window is None or self.prompt is None else self.window - self.prompt

    def prompt_fits(self, max_tokens: int | None) -> bool | None:
        """Returns whether the prompt alone fits, in a request with *max_tokens*; None when nothing says so."""
        room = self.room()
        if room is not None:
            return room > 0
        if max_tokens is None:
            return False
        if self.window is not None and max_tokens >= self.window:
            return True  # no prompt at all would fit
        return False if self.prompt_only or max_tokens <= TRIAL_TOKENS else None


def window_refusal(status: int, error: ApiError, max_tokens: int | None) -> WindowRefusal | None:
    """Reads an error about the context window; returns None for all other errors.

    Args:
        status: HTTP status of the response.
        error: what it reports.
        max_tokens: the limit of the request, which some messages count together with the prompt.
    """
    text = error.message
    if status not in (400, 413, 422, 500) or error.code in _LIMIT_CODES or _LIMIT_WORDS.search(text):
        return None
    if error.code not in _CODES and not _WORDS.search(text):
        return None
    if status == 500 and not _EXCESS.search(text):
        return None
    prompt = _first(_PROMPT, text)
    if prompt is None and max_tokens is not None and (total := _first(_REQUESTED, text)) is not None:
        prompt = max(total - max_tokens, 0)
    alone = _PROMPT_ONLY.search(text) is not None and not _ANSWER_TOO.search(text.replace("max_tokens must be at", ""))
    return WindowRefusal(text, _first(_WINDOW, text), prompt, alone)


def _first(patterns: tuple[str, ...], text: str) -> int | None:
    """Returns the number of the first pattern that occurs in the text."""
    found = next((match for pattern in patterns if (match := re.search(pattern, text, re.IGNORECASE))), None)
    return None if found is None else int(found[1].replace(",", ""))
