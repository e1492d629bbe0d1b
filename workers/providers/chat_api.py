"""A model behind an HTTP API, in any wire format.

A call consists of one or more attempts.  An attempt ends with one of these:

* a Reply: the model's text, even when it is cut off, refused, filtered, or the prompt exceeded the context.  These are
  outcomes that the agent caused; ``Call.finish_reason`` distinguishes them;
* a WindowRefusal: the prompt and ``max_tokens`` do not fit the context window together; the attempt is repeated with a
  smaller ``max_tokens``, or its reply is empty because the prompt alone does not fit;
* a ModelFailure with a kind: ``rate_limit`` (429, and other refusals for load), ``auth`` (401, 402, 403), ``timeout``
  (408, 504, or this client's timeout), ``transport`` (no connection, or a broken one), ``server`` (other 5xx, and
  responses without a completion), ``internal`` (the request is wrong, and a retry cannot help).

Each attempt waits for a server and for a permit of its account's limiter, and reports its outcome to both; between two
attempts neither is held.  ``muses_eval.workers.providers.retries`` decides when to retry.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.system_role import fold_system
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.limits import AttemptOutcome, Limiter
from muses_eval.workers.providers.adapter import Adapter, Completion, NoCompletionError, Options
from muses_eval.workers.providers.advice import advice
from muses_eval.workers.providers.api_error import CONTENT_FILTER, ApiError
from muses_eval.workers.providers.chat_request import (
    NO_OVERRIDES,
    ChatRequest,
    MessageDict,
    ToolDict,
    message_dicts,
)
from muses_eval.workers.providers.context_window import WindowRefusal, window_refusal
from muses_eval.workers.providers.error_class import ErrorClass, ServerOverloaded, classify, filtered
from muses_eval.workers.providers.event_stream import is_event_stream, read_events
from muses_eval.workers.providers.fit_window import within_window
from muses_eval.workers.providers.http_client import HttpClient, HttpResponse, Secrets, excerpt, read_json, well_formed
from muses_eval.workers.providers.listed_models import ListedModels, parse_listed_models
from muses_eval.workers.providers.load_balancer import LoadBalancer, ResolveServers, fixed_servers
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.refusal_streak import RefusalStreak
from muses_eval.workers.providers.refused_requests import RefusedRequests
from muses_eval.workers.providers.retries import RetryPolicy, Sleep, with_retries
from muses_eval.workers.providers.retry_delay import retry_after

PROBE_TIMEOUT_S = 10.0
_REASON_CHARS = 64
_NEW_WEIGHT = 0.05
"""Weight of a new call in the moving averages of tokens."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Time and randomness, passed in so that tests take no time and random numbers can be fixed."""

    rng: random.Random
    """Random numbers for the jitter of retries."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    """Seconds, for latencies."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch, for Retry-After dates."""


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """Everything that is needed to reach a model."""

    adapter: Adapter
    limiter: Limiter
    """The limiter of the account."""
    api_key: str | None = field(default=None, repr=False)
    """Key of the account; None when no key is sent."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further headers of every request, with secret values.  They replace headers of the adapter."""
    resolve: ResolveServers | None = None
    """Returns the addresses of its servers; None to use the endpoint's addresses."""
    environ: Mapping[str, str] | None = None
    """Environment variables that name proxies; None to use no proxy."""


class TokenEstimator:
    """Estimates the tokens of a call from earlier calls: tokens per byte of a request, and tokens of a completion.

    Args:
        most: most tokens of a completion that the request allows.
    """

    def __init__(self, most: int | None) -> None:
        self._a_byte = 0.25
        self._completion = min(float(most or 256), 256.0)

    def estimate(self, body: bytes) -> int:
        """Returns the expected tokens of a request and its completion."""
        return int(len(body) * self._a_byte + self._completion)

    def learn(self, body: bytes, completion: Completion) -> None:
        if completion.prompt_tokens is not None:
            self._a_byte += _NEW_WEIGHT * (completion.prompt_tokens / len(body) - self._a_byte)
        if completion.completion_tokens is not None:
            self._completion += _NEW_WEIGHT * (completion.completion_tokens - self._completion)


class ChatApiModel:
    """One model; its connections are kept open and shared by all its episodes.

    Args:
        spec: the model and its sampling.
        endpoint: its addresses, timeout and number of retries.
        connection: everything that is needed to reach it.
        effects: time and randomness.
    """

    def __init__(self, spec: ModelSpec, endpoint: Endpoint, connection: ModelConnection, effects: Effects) -> None:
        self._spec, self._adapter, self._limiter, self._effects = spec, connection.adapter, connection.limiter, effects
        self._timeout_s = endpoint.timeout_s
        self._policy = RetryPolicy(max_retries=endpoint.max_retries)
        self._resolve = connection.resolve or fixed_servers([url.rstrip("/") for url in endpoint.base_urls])
        self._balancer = LoadBalancer(spec.name, self._resolve, self._policy.outage_s)
        self._stream_fields = self._adapter.stream_fields if endpoint.stream else {}
        headers = _merged(self._adapter.headers(connection.api_key), connection.headers)
        secrets = Secrets.of(connection.api_key, connection.headers.values())
        self._http = HttpClient(spec.name, headers, secrets, connection.environ or {})
        self._key_sent = connection.api_key is not None or bool(connection.headers)
        self._estimator = TokenEstimator(spec.sampling.max_tokens)
        self._refusals = RefusalStreak()
        self._requests = RefusedRequests()

    def agent(self, request: EpisodeRequest) -> "ChatApiAgent":
        return ChatApiAgent(self, self.options(NO_OVERRIDES, request.seed_offset), request.session, request.seed_offset)

    def options(self, overrides: Sampling, seed_offset: int) -> Options:
        """Returns the options of a request with the model's sampling, of which *overrides* replaces some."""
        return self._adapter.options(self._spec.sampling.with_overrides(overrides), seed_offset)

    async def complete(
        self, messages: Sequence[MessageDict], options: Options, session: str = "", tools: Sequence[ToolDict] = ()
    ) -> Reply:
        """Makes one call, with its retries.  Raises ModelFailure when no attempt is answered."""
        starts: list[float] = []
        options = {**options, **self._stream_fields}
        max_tokens: int | None = options.get("max_tokens")
        if self._spec.system_role == "fold":
            messages = fold_system(messages)

        async def ask(limit: int | None) -> Completion | WindowRefusal:
            limited = options if limit == max_tokens else {**options, "max_tokens": limit}
            body = self._adapter.encode(self._spec.model, messages, limited, tools)
            try:
                return await self._try(body, session, starts, limit)
            except ModelFailure:
                # The adapter may have learned from the error to encode the same request in another form.
                other = self._adapter.encode(self._spec.model, messages, limited, tools)
                if other == body:
                    raise
            return await self._try(other, session, starts, limit)

        completion = await with_retries(
            lambda: within_window(ask, max_tokens), self._policy, self._effects.rng, self._effects.sleep
        )
        call = Call(
            role="agent",
            model=self._spec.model,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            latency_s=self._effects.clock() - starts[0],
            retries=len(starts) - 1,
            finish_reason=completion.finish_reason,
            cached_tokens=completion.cached_tokens,
        )
        return Reply(completion.text, call, completion.tool_calls, completion.reasoning)

    async def probe(self) -> None:
        """Requests the list of models from all servers.

        One response is enough, but no server may refuse the key.  A server without that page, or a busy one, counts as
        reached; a key that may call the model but not list models counts as valid.
        """
        found = await asyncio.gather(*map(self._probe_server, await self._resolve()))
        failures = [failure for failure in found if failure is not None]
        refused = [failure for failure in failures if failure.ends_model]
        if refused or len(failures) == len(found):
            raise (refused or failures)[0]

    async def listed_models(self, base_url: str) -> ListedModels | None:
        """Returns the models that a server lists below an address; None when it does not, or does not answer."""
        try:
            answer = await self._http.send("GET", base_url, self._adapter.models_path, None, PROBE_TIMEOUT_S)
        except ModelFailure:
            return None
        return parse_listed_models(_json_or_none(answer)) if answer.status == 200 else None

    async def close(self) -> None:
        await self._http.close()

    async def _try(
        self, body: bytes, session: str, starts: list[float], max_tokens: int | None
    ) -> Completion | WindowRefusal:
        with await self._balancer.attempt(session) as attempt:
            async with self._limiter.permit(self._estimator.estimate(body)) as permit:
                url = attempt.start()
                starts.append(self._effects.clock())
                refusals, number = self._refusals.length, self._requests.begin()
                headers: Mapping[str, str] = {}
                try:
                    answer = await self._http.send("POST", url, self._adapter.path, body, self._timeout_s)
                    headers = answer.headers
                    found = self._parse(answer, self._http.label(url), max_tokens, refusals)
                except ModelFailure as failure:
                    attempt.record(failure)
                    permit.record(_outcome_of(failure, headers))
                    raise self._requests.failed(number, failure) from None
                finally:
                    self._requests.end(number)
                attempt.record(None)
                tokens = found.tokens if isinstance(found, Completion) else None
                permit.record(AttemptOutcome("answered", tokens, None, headers))
        self._refusals.answered()
        self._requests.answered()
        if isinstance(found, Completion):
            self._estimator.learn(body, found)
        return found

    async def _probe_server(self, base_url: str) -> ModelFailure | None:
        where = self._http.label(base_url)
        try:
            answer = await self._http.send("GET", base_url, self._adapter.models_path, None, PROBE_TIMEOUT_S)
        except ModelFailure as no_answer:
            return no_answer
        if answer.status not in (401, 402, 403) and answer.status < 500:
            return None
        error = self._adapter.error(_json_or_none(answer)) or _error_from_body(answer)
        if answer.status == 403 and "scope" in error.message:
            return None
        found = classify(answer.status, error)
        failure = self._failure(found, answer.status, error, answer, where)
        failure.ends_model = found.ends_after == 1  # a 403 concerns the list, not necessarily the model
        return failure

    def _parse(
        self, answer: HttpResponse, where: str, max_tokens: int | None, refusals: int
    ) -> Completion | WindowRefusal:
        """Reads the completion from a response.  Raises ModelFailure when it has none.

        *refusals*: length of the streak of refusals when the attempt began.
        """
        answered = answer.status in range(200, 300)
        document = self._document(answer, where) if answered else _json_or_none(answer)
        error = self._adapter.error(document)
        if error is None and answered:
            return self._completion(document, answer, where)
        error = error or _error_from_body(answer)
        # Some gateways respond with 200 and an error in the body, with a status as the error's code.
        status = (error.status or 500) if answered else answer.status
        if filtered(status, error):
            return Completion("", CONTENT_FILTER)
        too_long = window_refusal(status, error, max_tokens)
        if too_long is not None:
            return replace(too_long, message=f"{where} answered HTTP {status}: {self._http.sanitize(error.message)}")
        self._adapter.learn(status, error)
        found = classify(status, error)
        failure = self._failure(found, status, error, answer, where)
        raise failure if found.ends_after is None else self._refusals.judge(failure, found.ends_after, refusals)

    def _document(self, answer: HttpResponse, where: str) -> object:
        """Returns the JSON of a response; a stream is joined, whether or not it was requested."""
        try:
            if is_event_stream(answer.headers, answer.body):
                return self._adapter.join(read_events(answer.body))
            return read_json(answer)
        except NoCompletionError as error:
            raise self._no_completion(str(error), where) from None
        except (ValueError, RecursionError):
            raise self._no_completion(f"expected JSON, got {excerpt(answer.body)}", where) from None

    def _completion(self, document: object, answer: HttpResponse, where: str) -> Completion:
        try:
            found = self._adapter.completion(document)
        except NoCompletionError as error:
            raise self._no_completion(f"{error}, in {excerpt(answer.body)}", where) from None
        text, reason = self._http.secrets.mask_reply(found.text), self._http.secrets.mask_reply(found.finish_reason)
        reason = well_formed(reason[:_REASON_CHARS])
        if found.tool_calls:
            found = replace(found, tool_calls=tuple(map(self._masked, found.tool_calls)))
        if found.reasoning:
            found = replace(found, reasoning=self._http.secrets.mask_reply(found.reasoning))
        if text == found.text and reason == found.finish_reason:
            return found
        return replace(found, text=text, finish_reason=reason)

    def _masked(self, call: ToolCall) -> ToolCall:
        mask = self._http.secrets.mask_reply
        return ToolCall(mask(call.id), mask(call.name), mask(call.arguments))

    def _no_completion(self, problem: str, where: str) -> ModelFailure:
        return ModelFailure("server", f"{where} sent no completion: {self._http.sanitize(problem)}")

    def _failure(
        self, found: ErrorClass, status: int, error: ApiError, answer: HttpResponse, where: str
    ) -> ModelFailure:
        problem = f"{where} answered HTTP {answer.status}: {self._http.sanitize(error.message)}"
        location = self._http.sanitize(answer.headers.get("Location", ""))
        if hint := advice(status, error, found.kind, key_sent=self._key_sent, location=location):
            problem += f" ({hint})"
        wait_s = retry_after(answer.headers, self._effects.now())
        return found.failure(problem, error.retry_after_s if wait_s is None else wait_s)


@dataclass(frozen=True, slots=True)
class ChatApiAgent:
    """The model in one episode, with the episode's seed."""

    model: ChatApiModel
    options: Options
    session: str = ""
    seed_offset: int = 0

    async def reply(self, observation: Observation) -> Reply:
        return await self.model.complete(message_dicts(observation.prompt), self.options, self.session)

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:  # noqa: ARG002 - for scripts only
        plain = request.overrides == NO_OVERRIDES
        options = self.options if plain else self.model.options(request.overrides, self.seed_offset)
        return await self.model.complete(request.messages, options, self.session, request.tools)


def _merged(headers: Mapping[str, str], further: Mapping[str, str]) -> Mapping[str, str]:
    """Returns both headers; *further* replaces headers of the same name, whose case does not matter."""
    replaced = {name.lower() for name in further}
    return {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **further}


def _outcome_of(failure: ModelFailure, headers: Mapping[str, str]) -> AttemptOutcome:
    """Returns the outcome of a failed attempt for the limiter.

    Only a limit of the account counts as refused, and not a 429 for lack of credit or a server without capacity.
    """
    refused = failure.kind == "rate_limit" and failure.retryable and not isinstance(failure, ServerOverloaded)
    return AttemptOutcome("refused" if refused else "failed", None, failure.retry_after_s, headers, failure.problem)


def _error_from_body(answer: HttpResponse) -> ApiError:
    return ApiError(excerpt(answer.body), from_api=False)


def _json_or_none(answer: HttpResponse) -> object:
    try:
        return read_json(answer)
    except (ValueError, RecursionError):
        return None
