"""OpenAI-compatible chat completions over HTTP.

One call is one or more tries of ``POST {base_url}/chat/completions``.  What a try may end in:

* an answer: whatever the model said, cut off, refused, filtered or over its context.  All of that is the agent's own
  doing and becomes a Reply, with ``Call.finish_reason`` telling which;
* a ModelFailure whose kind says what failed: ``rate_limit`` (429), ``auth`` (401, 402, 403), ``timeout`` (408, 504,
  and our own patience), ``transport`` (no connection, or one that broke), ``server`` (other 5xx, and answers that are
  none), ``internal`` (the request is wrong: another try of it cannot help).

Nothing is retried here, see ``workers.retries``; a limit's slot is held for each try and not between tries.
Server text is untrusted: it is bounded, put on one line and cleared of the key before anyone sees it.
"""

import asyncio
import json
import math
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pipeline.errors import FailureKind, ModelFailure
from pipeline.model_text import as_text
from pipeline.protocol import Call, Observation, Reply
from pipeline.serialization import ChatMessage
from pipeline.specs import Endpoint, ModelSpec, Sampling
from workers.limits import Limit
from workers.models import EpisodeRequest
from workers.retries import RetryPolicy, Sleep, with_retries

if TYPE_CHECKING:
    import aiohttp

MAX_RESPONSE_BYTES = 32 * 2**20
MAX_RETRY_AFTER_S = 24 * 3600.0
PROBE_TIMEOUT_S = 10.0
_KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn (vLLM) closes idle connections: a request must not meet a closing one."""
_SHOWN_CHARS = 300
_REASON_CHARS = 64
_KEY_CHARS = 8
"""Anything shorter is a word that may stand in any text; local servers are often given one as their key."""
_MOST_TOKENS = 2**53
"""What claims to be more is no count, and would fit no column."""

CONTEXT_OVERFLOW = "context_overflow"
CONTENT_FILTER = "content_filter"

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_OVERFLOW_WORDS = re.compile(
    r"context (length|size|window|limit)|maximum model length|prompt is too long|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_WINDOW = re.compile(r"(?:context length|model length)(?: is| of)?(?: only)? (\d[\d,]{0,11})", re.IGNORECASE)
_FILTER_CODES = frozenset({"content_filter", "content_policy", "content_policy_violation"})
_NO_MONEY_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_STATUS_KINDS: dict[int, FailureKind] = {
    401: "auth",
    402: "auth",  # the account has no credit left
    403: "auth",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a client takes from outside, so that tests take no time and dice can be fixed."""

    dice: random.Random
    """Jitter of the waits between tries."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    """Seconds, for latencies."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch, for Retry-After dates."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What one try brought: the model's text and what the provider says about it."""

    text: str
    finish_reason: str
    """The provider's own word, ``context_overflow`` for prompts it refused as too long; ``unknown`` if it has none."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One HTTP response, read fully."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server says about its refusal, in whatever shape it says it."""

    message: str
    code: str = ""
    status: int | None = None
    """An HTTP status that the body carries as its code."""
    flagged: bool = False
    """Whether a moderation in front of the model flagged the prompt."""


class ChatApiModel:
    """One model behind one endpoint; its connections are kept open and shared by all its episodes.

    Args:
        spec: the model and its sampling.
        endpoint: where it answers.
        api_key: sent as a bearer token; None: none is sent.
        limit: the budget of the account.
        surroundings: chance and time.
    """

    def __init__(
        self,
        spec: ModelSpec,
        endpoint: Endpoint,
        api_key: str | None,
        limit: Limit,
        surroundings: Surroundings,
    ) -> None:
        self._spec, self._endpoint, self._api_key, self._limit = spec, endpoint, api_key, limit
        self._around = surroundings
        self._policy = RetryPolicy(max_retries=endpoint.max_retries)
        self._base_url = endpoint.base_urls[0].rstrip("/")
        self._url = f"{self._base_url}/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    def agent(self, request: EpisodeRequest) -> "ChatApiAgent":
        return ChatApiAgent(self, sampling_options(self._spec.sampling, request.seed_offset))

    async def complete(self, prompt: tuple[ChatMessage, ...], options: Mapping[str, float | int]) -> Reply:
        """One call with all its tries.  Raises ModelFailure when there is no answer to be had."""
        body = encode_request(self._spec.model, prompt, options)
        starts: list[float] = []

        async def attempt() -> Completion:
            async with self._limit.slot(0):
                starts.append(self._around.clock())
                answer = await self._exchange("POST", self._url, body, self._endpoint.timeout_s)
            return self._understand(answer)

        completion = await with_retries(attempt, self._policy, self._around.dice, self._around.sleep)
        call = Call(
            role="agent",
            model=self._spec.model,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            latency_s=self._around.clock() - starts[0],
            retries=len(starts) - 1,
            finish_reason=completion.finish_reason,
        )
        return Reply(completion.text, call)

    async def probe(self) -> None:
        """Asks for ``{base_url}/models``.

        A server without that page, or a busy one, is a server that is reached; a key that may call the model but not
        list models is a good key.
        """
        answer = await self._exchange("GET", f"{self._base_url}/models", None, PROBE_TIMEOUT_S)
        if answer.status in (401, 402, 403) or answer.status >= 500:
            error = reported_error(_json_or_none(answer.body)) or ServerError(_excerpt(answer.body))
            if answer.status != 403 or "scope" not in error.message:
                raise self._failure(answer.status, error, answer)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _understand(self, answer: HttpAnswer) -> Completion:
        """Reads one answer.  Raises ModelFailure when it is none."""
        answered = answer.status in range(200, 300)
        document = self._decode(answer.body) if answered else _json_or_none(answer.body)
        error = reported_error(document)
        if error is None and answered:
            return self._completion(document)
        error = error or ServerError(_excerpt(answer.body))
        # Some gateways answer 200 and say in the body what went wrong, with a status as the error's code.
        status = (error.status or 500) if answered else answer.status
        outcome = agents_own_doing(status, error, self._spec.sampling.max_tokens)
        if outcome is None:
            raise self._failure(status, error, answer)
        return Completion("", outcome)

    def _decode(self, body: bytes) -> object:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._no_completion(f"expected JSON, got {_excerpt(body)}") from None

    def _completion(self, document: object) -> Completion:
        fields = document if isinstance(document, dict) else {}
        choices = fields.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise self._no_completion("expected choices[0].message, got none")
        finish_reason = choice.get("finish_reason")
        if finish_reason == "error":
            raise self._no_completion("finish_reason is 'error'")
        usage = fields.get("usage")
        return Completion(
            text=self._keyless(message_text(choice["message"])),
            finish_reason=self._reason(finish_reason) if isinstance(finish_reason, str) else "unknown",
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
        )

    def _no_completion(self, problem: str) -> ModelFailure:
        return ModelFailure("server", f"{self._where} sent no completion: {self._safe(problem)}")

    def _failure(self, status: int, error: ServerError, answer: HttpAnswer) -> ModelFailure:
        kind = _STATUS_KINDS.get(status, "server" if status >= 500 else "internal")
        retryable = kind not in ("auth", "internal") and error.code not in _NO_MONEY_CODES
        problem = f"{self._where} answered HTTP {answer.status}"
        if status in range(300, 400):
            problem += " (a redirect: base_url must be the final address)"
        problem += f": {self._safe(error.message)}"
        return ModelFailure(kind, problem, retry_after(answer.headers, self._around.now()), retryable)

    @property
    def _where(self) -> str:
        return f"{self._spec.name} at {self._base_url}"

    def _safe(self, text: str) -> str:
        """Text of a server, fit for a log: one line, bounded, without the key in case the server repeats it."""
        if self._api_key is not None:
            text = text.replace(self._api_key, "[key]")
        return " ".join(well_formed(text[: 2 * _SHOWN_CHARS]).split())[:_SHOWN_CHARS]

    def _reason(self, text: str) -> str:
        return well_formed(self._keyless(text)[:_REASON_CHARS])

    def _keyless(self, text: str) -> str:
        """Text of the model without the key, which a gateway may have put before it."""
        key = self._api_key
        return text if key is None or len(key) < _KEY_CHARS else text.replace(key, "[key]")

    async def _exchange(self, method: str, url: str, body: bytes | None, timeout_s: float) -> HttpAnswer:
        """One HTTP exchange.

        Failures are raised ``from None``: the client library's own errors hold the request with its headers, and so
        the key.
        """
        import aiohttp

        try:
            async with self._open_session().request(
                method, url, data=body, timeout=aiohttp.ClientTimeout(total=timeout_s), allow_redirects=False
            ) as response:
                return HttpAnswer(response.status, response.headers, await self._read(response))
        except TimeoutError:
            raise ModelFailure("timeout", f"{self._where} gave no full answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            text = self._safe(str(error)) or "no details"
            raise ModelFailure("transport", f"{self._where}: {type(error).__name__}: {text}") from None

    async def _read(self, response: "aiohttp.ClientResponse") -> bytes:
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise self._no_completion(f"its body is larger than {MAX_RESPONSE_BYTES >> 20} MiB")
            chunks.append(chunk)
        return b"".join(chunks)

    def _open_session(self) -> "aiohttp.ClientSession":
        """Opened on first use, since it belongs to the event loop in which it is made."""
        if self._session is None:
            import aiohttp

            headers = {"Content-Type": "application/json", "Accept": "application/json"}
            if self._api_key is not None:
                headers["Authorization"] = f"Bearer {self._api_key}"
            # limit=0: the account's limit bounds the calls in flight; a second bound would only hide waiting.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


@dataclass(frozen=True, slots=True)
class ChatApiAgent:
    """A model in one episode: the same model, with the episode's seed."""

    model: ChatApiModel
    options: Mapping[str, float | int]

    async def reply(self, observation: Observation) -> Reply:
        return await self.model.complete(observation.prompt, self.options)


def sampling_options(sampling: Sampling, seed_offset: int) -> dict[str, float | int]:
    """The request options that are set; what is not set is not sent."""
    options: dict[str, float | int | None] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": None if sampling.seed is None else sampling.seed + seed_offset,
    }
    return {name: value for name, value in options.items() if value is not None}


def encode_request(model: str, prompt: tuple[ChatMessage, ...], options: Mapping[str, float | int]) -> bytes:
    """The body of one request.  Roles go out as they are: the native serialisation sends names there."""
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    text = json.dumps({"model": model, "messages": messages, **options}, ensure_ascii=False)
    return well_formed(text).encode()


def message_text(message: Mapping[str, object]) -> str:
    """What a model said: its content, whole or in parts; the refusal where it gave one instead."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_part_text(part) for part in content)
    refusal = message.get("refusal")
    if not content and isinstance(refusal, str):
        content = refusal
    return well_formed(content) if isinstance(content, str) else ""


def well_formed(text: str) -> str:
    """*text* with every lone surrogate replaced by U+FFFD, so that it can be encoded, stored and hashed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def reported_error(document: object) -> ServerError | None:
    """The error that a JSON answer reports, or None when it reports none.

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
        return ServerError(as_text(error))
    code, kind, metadata = error.get("code"), error.get("type"), error.get("metadata")
    return ServerError(
        message=as_text(error.get("message") or error),
        code=next((word for word in (code, kind) if isinstance(word, str)), ""),
        status=code if isinstance(code, int) and code in range(400, 600) else None,
        flagged=isinstance(metadata, dict) and "flagged_input" in metadata,
    )


def agents_own_doing(status: int, error: ServerError, max_tokens: int | None) -> str | None:
    """The finish reason where a refused request is an outcome of the episode; None where it is a failure.

    A prompt that outgrew the model's context is one, unless ``max_tokens`` alone fills that context: then no prompt
    would fit, which is a mistake of the configuration and must not become a score.
    """
    if status in (400, 403) and (error.code in _FILTER_CODES or error.flagged):
        return CONTENT_FILTER
    if status not in (400, 413, 422):
        return None
    if error.code not in _OVERFLOW_CODES and not _OVERFLOW_WORDS.search(error.message):
        return None
    window = _WINDOW.search(error.message)
    if window and max_tokens is not None and max_tokens >= int(window[1].replace(",", "")):
        return None
    return CONTEXT_OVERFLOW


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """How many seconds the server asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date.

    Never negative and at most a day; None when the server says nothing that can be read.
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


def _count(usage: object, field: str) -> int | None:
    value = usage.get(field) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS else None


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _json_or_none(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _excerpt(body: bytes) -> str:
    """The beginning of a body that is not what it should be, for messages; longer than what of it is shown."""
    text = body[: 16 * _SHOWN_CHARS].decode(errors="replace")
    if text.lstrip().startswith("<"):
        return "an HTML page"
    return text if text.strip() else "an empty body"
