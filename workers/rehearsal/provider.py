"""The fake provider of a rehearsal: hard limits, faults, and a log of every request.

::

    with RehearsalProvider(PRESETS["storm"]) as provider:
        Endpoint((provider.base_url(),))
    provider.log.totals()

It implements every wire format of the providers, with streaming, and accepts any key.  An address may begin with the
name of an account, as ``http://127.0.0.1:8099/team-a/v1``: each account has limits of its own.
"""

import json
import random
import time
from asyncio import sleep
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self

from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.rehearsal.anthropic_format import AnthropicFormat
from muses_eval.workers.rehearsal.canned_replies import CannedModel, PrefixCache
from muses_eval.workers.rehearsal.fault_injection import with_fault
from muses_eval.workers.rehearsal.fault_profile import Fault, FaultProfile, HardLimits
from muses_eval.workers.rehearsal.hard_limits import AccountUsage, Refusal, allowed_in_window
from muses_eval.workers.rehearsal.openai_format import OpenAIFormat, model_list
from muses_eval.workers.rehearsal.request_log import (
    LoggedRequest,
    PeakUsage,
    RequestLog,
    RequestOutcome,
    largest_window_sum,
)
from muses_eval.workers.rehearsal.responses import Response, as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send
from muses_eval.workers.rehearsal.wire_format import BadRequestError, CompletionReply, ServerWireFormat, retry_headers

_FORMATS: Mapping[str, ServerWireFormat] = {one.path: one for one in (OpenAIFormat(), AnthropicFormat())}


class RehearsalProvider:
    """Serves between ``start`` and ``stop``, or within a ``with`` block.

    Args:
        profile: latency, limits and faults.
        declared: limits by account, when the profile has none.
        models: names of the models that it lists; it accepts every name.
        port: TCP port; 0 for any free one.
        clock: seconds.
    """

    def __init__(
        self,
        profile: FaultProfile,
        declared: Mapping[str, HardLimits] | None = None,
        *,
        models: tuple[str, ...] = ("any",),
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile, self._declared, self._models, self._clock = profile, declared or {}, models, clock
        self._first_s: float | None = None
        self._rng, self._script = random.Random(profile.seed), iter(profile.script)
        self._model, self._prefixes = CannedModel(profile.reply_tokens, profile.seed), PrefixCache()
        self._accounts: dict[str, AccountUsage] = {}
        self._port, self._server = port, LoopbackServer(self._handle, port)
        self.log = RequestLog()

    def base_url(self, account: str = "") -> str:
        """Returns the base URL for clients."""
        return f"{self._server.url}/{account}/v1" if account else f"{self._server.url}/v1"

    def peak_usage(self) -> tuple[PeakUsage, ...]:
        """Returns the peak usage of every account that got a request, with its first limits."""
        found = []
        for account in sorted({entry.account for entry in self.log.entries}):
            limits = self._profile.limits_at(0.0, self._declared.get(account))
            entries = self.log.entries_of(account)
            found.append(
                PeakUsage(
                    account,
                    limits.window_s,
                    requests=largest_window_sum([(entry.at_s, 1) for entry in entries], limits.window_s),
                    tokens=largest_window_sum([(entry.at_s, entry.tokens) for entry in entries], limits.window_s),
                    requests_allowed=allowed_in_window(limits.requests_per_minute, limits.window_s),
                    tokens_allowed=allowed_in_window(limits.tokens_per_minute, limits.window_s),
                )
            )
        return tuple(found)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the port is open; the profile's times begin with the first request.

        Raises:
            ConfigError: the port is not available.
        """
        try:
            self._server.start()
        except OSError as error:
            raise ConfigError(
                f"the provider cannot listen on port {self._port} ({error.strerror}); choose another, or 0 for any"
            ) from None

    def stop(self) -> None:
        """Aborts the requests in flight and closes the port."""
        self._server.stop()

    def _now(self) -> float:
        """Seconds since the first request."""
        now = self._clock()
        if self._first_s is None:
            self._first_s = now
        return now - self._first_s

    async def _handle(self, received: ReceivedRequest, send: Send) -> None:
        prefix, _, name = received.path.partition("/v1/")
        account = prefix.strip("/").partition("/")[0]
        wire = _FORMATS.get(name)
        if name == "models" and received.method == "GET":
            await send(model_list(*self._models))
        elif wire is None or received.method != "POST":
            await send(as_json({"error": {"message": f"no {received.method} {received.path} here"}}, 404))
        else:
            await self._complete(account, wire, received, send)

    async def _complete(self, account: str, wire: ServerWireFormat, received: ReceivedRequest, send: Send) -> None:
        entry = self.log.add(LoggedRequest(self._now(), account, ""))
        try:
            request = wire.read(json.loads(received.body), received.headers)
        except (ValueError, RecursionError, BadRequestError) as error:
            await self._refuse(entry, "bad_request", wire.error(400, str(error)), send)
            return
        reply = self._model.reply(request, received.body)
        entry.model = request.model
        entry.prompt_tokens, entry.completion_tokens = reply.prompt_tokens, reply.completion_tokens
        limits = self._profile.limits_at(entry.at_s, self._declared.get(account))
        use = self._accounts.setdefault(account, AccountUsage())
        fault = self._fault(entry.at_s)
        refusal = self._refusal(use, limits, fault, entry)
        limit_headers = wire.allowance(use.left(limits, entry.at_s)) if limits.headers else {}
        if refusal is not None:
            when = retry_headers(limits.retry_after, refusal.wait_s)
            text = f"Rate limit reached for {request.model}: {refusal.reason}"
            await self._refuse(
                entry, refusal.reason, wire.error(429, text).with_headers({**limit_headers, **when}), send
            )
            return
        entry.cached_tokens = self._prefixes.add(request)
        reply = replace(reply, cached_tokens=entry.cached_tokens)
        good = wire.completion(request, reply, len(self.log.entries))
        answer = with_fault(good, wire, fault).with_headers(limit_headers)
        await self._serve(entry, use, fault, _late(self._latency_s(reply), answer, send))

    async def _serve(
        self, entry: LoggedRequest, use: AccountUsage, fault: Fault | None, delivery: Awaitable[None]
    ) -> None:
        """Waits until the response is sent or the client disconnects, and logs the outcome."""
        good = fault is None or fault.kind == "drip"
        entry.reason = "" if fault is None else fault.kind
        outcome: RequestOutcome = "abandoned" if good else "faulted"
        try:
            await delivery
            outcome = "answered" if good else "faulted"
        finally:
            use.leave()
            entry.outcome, entry.ended_s = outcome, self._now()

    async def _refuse(self, entry: LoggedRequest, reason: str, answer: Response, send: Send) -> None:
        entry.outcome, entry.reason, entry.ended_s = "refused", reason, self._now()
        await send(answer)

    def _fault(self, at_s: float) -> Fault | None:
        return next(self._script, None) or self._profile.fault_at(at_s, self._rng)

    def _refusal(
        self, use: AccountUsage, limits: HardLimits, fault: Fault | None, entry: LoggedRequest
    ) -> Refusal | None:
        if fault is not None and fault.kind == "rate_limited":
            return Refusal("storm", self._profile.end_of_storm(entry.at_s))
        return use.admit(limits, entry.tokens, entry.at_s)

    def _latency_s(self, reply: CompletionReply) -> float:
        latency = self._profile.latency
        return latency.base.draw(self._rng) + latency.per_token * reply.completion_tokens


async def _late(latency_s: float, answer: Response, send: Send) -> None:
    await sleep(latency_s)
    await send(answer)
