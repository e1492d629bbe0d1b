"""A model behind HTTP, whatever its wire format.

One call is one or more tries.  What a try may end in:

* an answer: whatever the model said, cut off, refused, filtered or over its context.  All of that is the agent's own
  doing and becomes a Reply, with ``Call.finish_reason`` telling which;
* a ModelFailure whose kind says what failed: ``rate_limit`` (429), ``auth`` (401, 402, 403), ``timeout`` (408, 504,
  and our own patience), ``transport`` (no connection, or one that broke), ``server`` (other 5xx, and answers that are
  none), ``internal`` (the request is wrong: another try of it cannot help).

Each try waits for a server of its route and for a permit of its account's limiter, and tells both how it ended; between
two
tries none is held.  When to try again is for ``muses_eval.workers.providers.retries``.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.protocol import Observation
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.limits import AttemptOutcome, Limiter
from muses_eval.workers.providers.adapter import Adapter, Completion, NoCompletionError, Options
from muses_eval.workers.providers.api_error import ApiError, classify, retry_after, scored_finish_reason
from muses_eval.workers.providers.http_client import HttpClient, HttpResponse, excerpt, well_formed
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.retries import RetryPolicy, Sleep, with_retries
from muses_eval.workers.providers.routing import Resolve, Route, fixed

PROBE_TIMEOUT_S = 10.0
_REASON_CHARS = 64
_FORGETFUL = 0.05
"""Weight of a new call in what calls are expected to take."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Time and chance, passed in so that tests take no time and random numbers can be fixed."""

    rng: random.Random
    """Random numbers for the jitter of the waits between tries."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    """Seconds, for latencies."""
    now: Callable[[], float] = time.time
    """Seconds since the epoch, for Retry-After dates."""


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """How a model is reached."""

    adapter: Adapter
    limit: Limiter
    """The account's limit."""
    api_key: str | None = None
    """Key of the account; None: no key is sent."""
    resolve: Resolve | None = None
    """Where its servers are; None: at the endpoint's addresses."""
    environ: Mapping[str, str] | None = None
    """Where proxies are named; None: there are none."""


class TokenEstimator:
    """What a call will take, learned from those before: tokens a byte of a request, and tokens of a completion.

    Args:
        most: tokens of a completion that the request allows.
    """

    def __init__(self, most: int | None) -> None:
        self._a_byte = 0.25
        self._completion = min(float(most or 256), 256.0)

    def of(self, body: bytes) -> int:
        """Tokens of a request and its answer."""
        return int(len(body) * self._a_byte + self._completion)

    def learn(self, body: bytes, completion: Completion) -> None:
        if completion.prompt_tokens is not None:
            self._a_byte += _FORGETFUL * (completion.prompt_tokens / len(body) - self._a_byte)
        if completion.completion_tokens is not None:
            self._completion += _FORGETFUL * (completion.completion_tokens - self._completion)


class ChatApiModel:
    """One model; its connections are kept open and shared by all its episodes.

    Args:
        spec: the model and its sampling.
        endpoint: where it answers, and how patient we are.
        connection: how it is reached.
        effects: time and chance.
    """

    def __init__(self, spec: ModelSpec, endpoint: Endpoint, connection: ModelConnection, effects: Effects) -> None:
        self._spec, self._adapter, self._limit, self._effects = spec, connection.adapter, connection.limit, effects
        self._timeout_s = endpoint.timeout_s
        self._policy = RetryPolicy(max_retries=endpoint.max_retries)
        self._resolve = connection.resolve or fixed([url.rstrip("/") for url in endpoint.base_urls])
        self._route = Route(spec.name, self._resolve, self._policy.outage_s)
        headers = self._adapter.headers(connection.api_key)
        self._http = HttpClient(spec.name, headers, connection.api_key, connection.environ or {})
        self._most_tokens = spec.sampling.max_tokens
        self._guess = TokenEstimator(spec.sampling.max_tokens)

    def agent(self, request: EpisodeRequest) -> "ChatApiAgent":
        return ChatApiAgent(self, self._adapter.options(self._spec.sampling, request.seed_offset), request.session)

    async def complete(self, prompt: tuple[ChatMessage, ...], options: Options, session: str = "") -> Reply:
        """One call with all its tries.  Raises ModelFailure when there is no answer to be had."""
        starts: list[float] = []

        async def attempt() -> Completion:
            body = self._adapter.encode(self._spec.model, prompt, options)
            try:
                return await self._try(body, session, starts)
            except ModelFailure:
                # Refused, and what the refusal said may have taught the adapter to put the same request differently.
                other = self._adapter.encode(self._spec.model, prompt, options)
                if other == body:
                    raise
            return await self._try(other, session, starts)

        completion = await with_retries(attempt, self._policy, self._effects.rng, self._effects.sleep)
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
        return Reply(completion.text, call)

    async def probe(self) -> None:
        """Asks for ``{base_url}/models``, of all servers.

        One that answers is enough, but no key may be refused.  A server without that page, or a busy one, is a server
        that is reached; a key that may call the model but not list models is a good key.
        """
        found = await asyncio.gather(*map(self._probe_server, await self._resolve()))
        failures = [failure for failure in found if failure is not None]
        refused = [failure for failure in failures if failure.ends_model]
        if refused or len(failures) == len(found):
            raise (refused or failures)[0]

    async def close(self) -> None:
        await self._http.close()

    async def _try(self, body: bytes, session: str, starts: list[float]) -> Completion:
        with await self._route.visit(session) as visit:
            async with self._limit.permit(self._guess.of(body)) as permit:
                url = visit.start()
                starts.append(self._effects.clock())
                headers: Mapping[str, str] = {}
                try:
                    answer = await self._http.send("POST", url, self._adapter.path, body, self._timeout_s)
                    headers = answer.headers
                    completion = self._understand(answer, self._http.at(url))
                except ModelFailure as failure:
                    visit.ended(failure)
                    permit.record(_unanswered(failure, headers))
                    raise
                visit.ended(None)
                permit.record(AttemptOutcome("answered", completion.tokens, None, headers))
        self._guess.learn(body, completion)
        return completion

    async def _probe_server(self, base_url: str) -> ModelFailure | None:
        where = self._http.at(base_url)
        try:
            answer = await self._http.send("GET", base_url, "/models", None, PROBE_TIMEOUT_S)
        except ModelFailure as failure:
            return failure
        if answer.status not in (401, 402, 403) and answer.status < 500:
            return None
        error = self._adapter.error(_json_or_none(answer.body)) or _unworded(answer)
        if answer.status == 403:
            if "scope" in error.message:
                return None
            error = replace(error, worded=False)  # it is about the list, and need not be about the model
        return self._failure(answer.status, error, answer, where)

    def _understand(self, answer: HttpResponse, where: str) -> Completion:
        """Reads one answer.  Raises ModelFailure when it is none."""
        answered = answer.status in range(200, 300)
        document = self._decode(answer.body, where) if answered else _json_or_none(answer.body)
        error = self._adapter.error(document)
        if error is None and answered:
            return self._completion(document, where)
        error = error or _unworded(answer)
        # Some gateways answer 200 and say in the body what went wrong, with a status as the error's code.
        status = (error.status or 500) if answered else answer.status
        outcome = scored_finish_reason(status, error, self._most_tokens)
        if outcome is None:
            self._adapter.learn(status, error)
            raise self._failure(status, error, answer, where)
        return Completion("", outcome)

    def _decode(self, body: bytes, where: str) -> object:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise self._no_completion(f"expected JSON, got {excerpt(body)}", where) from None

    def _completion(self, document: object, where: str) -> Completion:
        try:
            found = self._adapter.completion(document)
        except NoCompletionError as error:
            raise self._no_completion(str(error), where) from None
        text, reason = self._http.keyless(found.text), self._http.keyless(found.finish_reason)
        reason = well_formed(reason[:_REASON_CHARS])
        if text == found.text and reason == found.finish_reason:
            return found
        return replace(found, text=text, finish_reason=reason)

    def _no_completion(self, problem: str, where: str) -> ModelFailure:
        return ModelFailure("server", f"{where} sent no completion: {self._http.safe(problem)}")

    def _failure(self, status: int, error: ApiError, answer: HttpResponse, where: str) -> ModelFailure:
        found = classify(status, error)
        problem = f"{where} answered HTTP {answer.status}"
        if status in range(300, 400):
            problem += " (a redirect: base_url must be the final address)"
        problem += f": {self._http.safe(error.message)}"
        wait_s = retry_after(answer.headers, self._effects.now())
        return ModelFailure(found.kind, problem, wait_s, found.retryable, found.ends_model)


@dataclass(frozen=True, slots=True)
class ChatApiAgent:
    """A model in one episode: the same model, with the episode's seed."""

    model: ChatApiModel
    options: Options
    session: str = ""

    async def reply(self, observation: Observation) -> Reply:
        return await self.model.complete(observation.prompt, self.options, self.session)


def _unanswered(failure: ModelFailure, headers: Mapping[str, str]) -> AttemptOutcome:
    """A failed try as limits see it.  An account without credit is no busy one."""
    refused = failure.kind == "rate_limit" and failure.retryable
    return AttemptOutcome("refused" if refused else "failed", None, failure.retry_after_s, headers, failure.problem)


def _unworded(answer: HttpResponse) -> ApiError:
    return ApiError(excerpt(answer.body), worded=False)


def _json_or_none(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
