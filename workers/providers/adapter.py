"""The interface of a wire format: how requests are encoded and responses are read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.workers.providers.api_error import ApiError
from muses_eval.workers.providers.chat_request import MessageDict, ToolDict
from muses_eval.workers.providers.http_client import well_formed
from pydantic_core import to_json

Options = Mapping[str, Any]
"""Fields of a request besides the model and the prompt."""

_MOST_TOKENS, _MOST_DIGITS = 2**53, 15
"""Larger numbers are not valid counts, and would fit no column."""


class NoCompletionError(Exception):
    """Raised for a JSON document that is not a completion; the text names what is missing."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The model's text, with what the provider reports about it."""

    text: str
    finish_reason: str
    """OpenAI's word for it where one exists: stop, length, content_filter, ...; ``context_overflow`` for prompts that
    were refused as too long; ``unknown`` when the provider reports none."""
    prompt_tokens: int | None = None
    """Number of prompt tokens, cached or not."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    """Reasoning of the model; empty when the provider does not return it apart from the text."""

    @property
    def tokens(self) -> int | None:
        """Sum of prompt and completion tokens; None when either is unknown."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


class Adapter(Protocol):
    """The adapter of one wire format, for one model."""

    path: str
    """Path of completions, below the base URL."""
    models_path: str
    """Path of the list of models, below the base URL."""
    stream_fields: Mapping[str, object]
    """Fields of a request that ask for a stream of events."""

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        """Returns the headers of every request; with *api_key* None, no key is sent."""
        ...

    def options(self, sampling: Sampling, seed_offset: int) -> Options:
        """Returns the request options that are set, and those that the provider requires."""
        ...

    def encode(
        self, model: str, messages: Sequence[MessageDict], options: Options, tools: Sequence[ToolDict] = ()
    ) -> bytes:
        """Returns the body of one request.  Raises ModelFailure for messages that this format cannot express."""
        ...

    def completion(self, document: object) -> Completion:
        """Reads the completion from the JSON of a response.  Raises NoCompletionError."""
        ...

    def join(self, events: Iterable[object]) -> object:
        """Joins the events of a stream to the JSON of a response, which has the error if the stream reports one.

        Raises NoCompletionError for a stream that ends before the completion does, and passes on that of *events*.
        """
        ...

    def error(self, document: object) -> ApiError | None:
        """Reads the error from the JSON of a response; returns None when it reports none."""
        ...

    def learn(self, status: int, error: ApiError) -> None:
        """Adapts later requests when an error reports that the model needs another form of request."""
        ...


def encoded(document: Mapping[str, object]) -> bytes:
    """Returns a request as JSON, with pydantic's encoder, which takes a third of the time of the standard library's."""
    try:
        return to_json(document)
    except ValueError:  # a lone surrogate
        return well_formed(json.dumps(document, ensure_ascii=False)).encode()


def token_count(usage: object, field: str) -> int | None:
    """Returns a token count that the provider reports, as a number or as digits.

    None when it reports none, or something that is not a count.
    """
    value = usage.get(field) if isinstance(usage, dict) else None
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, float) and value.is_integer() and 0 <= value < _MOST_TOKENS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None
