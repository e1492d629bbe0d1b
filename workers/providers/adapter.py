"""What a wire format has to provide, so that a model of it can be asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.workers.providers.api_error import ApiError
from muses_eval.workers.providers.http_client import well_formed
from pydantic_core import to_json

Options = Mapping[str, Any]
"""Fields of a request beside the model and the prompt."""

_MOST_TOKENS = 2**53
"""What claims to be more is no count, and would fit no column."""


class NoCompletionError(Exception):
    """A document that is no completion; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What one try brought: the model's text and what the provider says about it."""

    text: str
    finish_reason: str
    """In OpenAI's words where there is one: stop, length, content_filter, ...; ``context_overflow`` for prompts that
    were refused as too long; ``unknown`` where the provider says nothing."""
    prompt_tokens: int | None = None
    """All of them, cached or not."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None

    @property
    def tokens(self) -> int | None:
        """Prompt and completion together."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


class Adapter(Protocol):
    """One wire format, for one model."""

    path: str
    """Path of a completion, below the base URL."""

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        """Returns the headers of every request; with *api_key* None, no key is sent."""
        ...

    def options(self, sampling: Sampling, seed_offset: int) -> Options:
        """The request options that are set, and those that the provider requires."""
        ...

    def encode(self, model: str, prompt: tuple[ChatMessage, ...], options: Options) -> bytes:
        """The body of one request.  Raises ModelFailure for a prompt that cannot be put in this format."""
        ...

    def completion(self, document: object) -> Completion:
        """Reads the JSON of an answer.  Raises NoCompletionError."""
        ...

    def error(self, document: object) -> ApiError | None:
        """Reads the error that a JSON answer reports; None: it reports none."""
        ...

    def learn(self, status: int, error: ApiError) -> None:
        """Takes note of a refusal that says how the model wants to be asked, for all requests to come."""
        ...


def encoded(document: Mapping[str, object]) -> bytes:
    """A request's JSON.  By pydantic's encoder, which takes a third of the time of the standard library's."""
    try:
        return to_json(document)
    except ValueError:  # a lone surrogate
        return well_formed(json.dumps(document, ensure_ascii=False)).encode()


def token_count(usage: object, field: str) -> int | None:
    """A count as the provider reports it; None when it reports none, or something that is none."""
    value = usage.get(field) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None
