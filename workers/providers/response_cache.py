"""A cache of responses: an identical call returns the stored response instead of being made and paid again.

The key of a response is a hash of everything that determines it: the provider, its addresses, the model and its
sampling, the seed offset of the episode (the epoch for an agent, a number of its own for a simulated user), and the
prompt as it is sent; for a harness also its tools and its own sampling options.  So repeated epochs stay independent
of each other at any temperature, and a repeated run gets its own responses.  A harness that repeats a call within an
episode wants another sample, so the number of the repetition is part of the key.  Failures are never stored, and
neither is a response that contains what looks like a credential.

A cached response is marked: ``Call.cached`` is true, its tokens are those first reported, it costs nothing and takes no
time.  The cache never fails an episode: when an entry cannot be read, or is damaged, the model is called.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from muses_eval.pipeline.agents.interface import ToolCall
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import canonical, digest
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.workers.providers.chat_request import ChatRequest, MessageDict, message_dicts
from muses_eval.workers.providers.model import EpisodeRequest, Model, ModelAgent

FOLDER = "cache/"
_VERSION = 1
"""Version of the entries, which is part of every key."""
_LOG = logging.getLogger(__name__)

Ask = Callable[[], Awaitable[Reply]]
"""Calls the model."""


class CachedModel:
    """A model behind a cache; of identical calls at the same time in this process, one is made.

    Args:
        model: the model that is called when there is no stored response.
        spec: its config.
        store: store of the responses, below :data:`FOLDER`.
    """

    def __init__(self, model: Model, spec: ModelSpec, store: ObjectStore) -> None:
        self._model, self._store = model, store
        # Addresses of vLLM servers change with every start; the identity has everything that determines a response.
        where = () if spec.endpoint is None or spec.provider == "vllm" else spec.endpoint.base_urls
        self._identity = (_VERSION, where, spec.identity)
        self._asked: dict[str, asyncio.Future[Reply]] = {}

    def agent(self, request: EpisodeRequest) -> "CachedAgent":
        return CachedAgent(self, self._model.agent(request), request.seed_offset)

    async def probe(self) -> None:
        await self._model.probe()

    async def close(self) -> None:
        await self._model.close()

    async def reply(self, key: str, ask: Ask) -> Reply:
        """Returns the stored response with this key, or that of *ask*.  Raises ModelFailure as *ask* does."""
        while key in self._asked:
            # The same call is under way.  When it fails or is cancelled, this one is made.
            done, _ = await asyncio.wait([self._asked[key]])
            first = done.pop()
            if not first.cancelled() and first.exception() is None:
                return _as_cached(first.result())
        asking = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._kept_or_asked(key, ask)
            asking.set_result(reply)
            return reply
        finally:
            del self._asked[key]
            asking.cancel()  # does nothing to a future that has its result

    async def _kept_or_asked(self, key: str, ask: Ask) -> Reply:
        kept = await asyncio.to_thread(self._read, key)
        if kept is not None:
            return kept
        reply = await ask()
        if reply.call is not None and not _has_credential(reply):
            await asyncio.to_thread(self._keep, key, reply, reply.call)
        return reply

    def key(self, number: int, messages: Sequence[MessageDict], *further: object) -> str:
        """Returns the key of a response; *further* is what determines it besides the messages."""
        name = digest(*self._identity, number, list(map(_message_key, messages)), *further)
        return f"{FOLDER}{name[:2]}/{name}.json"

    def _read(self, key: str) -> Reply | None:
        try:
            return _decode(self._store.get(key))
        except MissingObjectError:
            return None
        except StoreError as error:
            _LOG.warning("the response cache cannot be read: %s", error)
            return None

    def _keep(self, key: str, reply: Reply, call: Call) -> None:
        data = _encode(reply, call)
        try:
            if self._store.put_if_absent(key, data):
                return
            there = self._store.read(key)
            if _decode(there.data) is None:  # damaged: overwritten
                self._store.replace(key, data, there.tag)
        except StoreError as error:
            _LOG.warning("the response cache cannot be written: %s", error)


@dataclass(frozen=True, slots=True)
class CachedAgent:
    """The model in one episode, behind the cache."""

    model: CachedModel
    agent: ModelAgent
    number: int
    calls: Counter[str] = field(default_factory=Counter)
    """Number of the harness's calls so far, by key."""

    async def reply(self, observation: Observation) -> Reply:
        key = self.model.key(self.number, message_dicts(observation.prompt))
        return await self.model.reply(key, lambda: self.agent.reply(observation))

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:
        key = self.model.key(self.number, request.messages, *request.further)
        repetition = self.calls[key]
        self.calls[key] += 1
        if repetition:
            key = self.model.key(self.number, request.messages, *request.further, ("repetition", repetition))
        return await self.model.reply(key, lambda: self.agent.chat(observation, request))


def _message_key(message: MessageDict) -> object:
    """Returns what identifies a message; for one of plain text, role and content."""
    role, content = message["role"], message.get("content")
    return (role, content) if len(message) == 2 and isinstance(content, str) else message


def _has_credential(reply: Reply) -> bool:
    arguments = (call.arguments for call in reply.tool_calls)
    return any(mask_credentials(text)[1] for text in (reply.text, reply.reasoning, *arguments))


def _as_cached(reply: Reply) -> Reply:
    if reply.call is None:
        return reply
    return replace(reply, call=replace(reply.call, latency_s=0.0, retries=0, cached=True))


_CALL_FIELDS = ("model", "prompt_tokens", "completion_tokens", "finish_reason", "cached_tokens")


def _encode(reply: Reply, call: Call) -> bytes:
    tools = {"tool_calls": [asdict(each) for each in reply.tool_calls]} if reply.tool_calls else {}
    reasoning = {"reasoning": reply.reasoning} if reply.reasoning else {}
    answer = {"text": reply.text, **{name: getattr(call, name) for name in _CALL_FIELDS}, **tools, **reasoning}
    return canonical({"answer": answer, "sum": digest(answer)})


def _decode(data: bytes) -> Reply | None:
    """Inverts :func:`_encode`; returns None when the entry is damaged."""
    try:
        entry = json.loads(data)
        answer: Mapping[str, Any] = entry["answer"]
        if entry["sum"] != digest(answer):
            return None
        facts = {name: answer[name] for name in _CALL_FIELDS}
        call = Call(role="agent", latency_s=0.0, retries=0, cached=True, **facts)
        tools = tuple(ToolCall(**each) for each in answer.get("tool_calls", ()))
        return Reply(answer["text"], call, tools, answer.get("reasoning", ""))
    except (ValueError, TypeError, KeyError):
        return None
