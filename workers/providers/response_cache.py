"""A cache of responses: an identical call returns the stored response instead of being made and paid again.

The key of a response is a hash of everything that determines it: the provider, its addresses, the model and its
sampling, the seed offset of the episode (the epoch for an agent, a number of its own for a simulated user), and the
prompt as it is sent.  So repeated epochs stay independent of each other at any temperature, and a repeated run gets its
own responses.  Failures are never stored, and neither is a response that contains what looks like a credential.

A cached response is marked: ``Call.cached`` is true, its tokens are those first reported, it costs nothing and takes no
time.  The cache never fails an episode: when an entry cannot be read, or is damaged, the model is called.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Agent, Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import canonical, digest
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.workers.providers.model import EpisodeRequest, Model

FOLDER = "cache/"
_VERSION = 1
"""Version of the entries, which is part of every key."""
_LOG = logging.getLogger(__name__)


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

    async def reply(self, agent: Agent, number: int, observation: Observation) -> Reply:
        """Returns the stored response to this prompt, or the agent's.  Raises ModelFailure as the agent does."""
        key = self._key(number, observation.prompt)
        while key in self._asked:
            # The same call is under way.  When it fails or is cancelled, this one is made.
            done, _ = await asyncio.wait([self._asked[key]])
            first = done.pop()
            if not first.cancelled() and first.exception() is None:
                return _as_cached(first.result())
        asking = self._asked[key] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._kept_or_asked(key, agent, observation)
            asking.set_result(reply)
            return reply
        finally:
            del self._asked[key]
            asking.cancel()  # does nothing to a future that has its result

    async def _kept_or_asked(self, key: str, agent: Agent, observation: Observation) -> Reply:
        kept = await asyncio.to_thread(self._read, key)
        if kept is not None:
            return kept
        reply = await agent.reply(observation)
        if reply.call is not None and not mask_credentials(reply.text)[1]:
            await asyncio.to_thread(self._keep, key, reply.text, reply.call)
        return reply

    def _key(self, number: int, prompt: tuple[ChatMessage, ...]) -> str:
        name = digest(*self._identity, number, [(message.role, message.content) for message in prompt])
        return f"{FOLDER}{name[:2]}/{name}.json"

    def _read(self, key: str) -> Reply | None:
        try:
            return _decode(self._store.get(key))
        except MissingObjectError:
            return None
        except StoreError as error:
            _LOG.warning("the response cache cannot be read: %s", error)
            return None

    def _keep(self, key: str, text: str, call: Call) -> None:
        data = _encode(text, call)
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
    """The agent of one episode, behind the cache."""

    model: CachedModel
    agent: Agent
    number: int

    async def reply(self, observation: Observation) -> Reply:
        return await self.model.reply(self.agent, self.number, observation)


def _as_cached(reply: Reply) -> Reply:
    if reply.call is None:
        return reply
    return Reply(reply.text, replace(reply.call, latency_s=0.0, retries=0, cached=True))


_CALL_FIELDS = ("model", "prompt_tokens", "completion_tokens", "finish_reason", "cached_tokens")


def _encode(text: str, call: Call) -> bytes:
    answer = {"text": text, **{name: getattr(call, name) for name in _CALL_FIELDS}}
    return canonical({"answer": answer, "sum": digest(answer)})


def _decode(data: bytes) -> Reply | None:
    """Inverts :func:`_encode`; returns None when the entry is damaged."""
    try:
        entry = json.loads(data)
        answer: Mapping[str, Any] = entry["answer"]
        if entry["sum"] != digest(answer):
            return None
        facts = {name: answer[name] for name in _CALL_FIELDS}
        return Reply(answer["text"], Call(role="agent", latency_s=0.0, retries=0, cached=True, **facts))
    except (ValueError, TypeError, KeyError):
        return None
