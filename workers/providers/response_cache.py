"""Answers that are used again by a call that is the same in every respect, instead of asking and paying twice.

An answer is kept under a hash of all that decides it: the provider, its addresses, the model and its sampling, the
episode's number (the epoch of an agent, the principal's own number for a simulated user), and the prompt as it is
sent.  So repeated epochs stay independent of each other at any temperature, and a run that is repeated meets its own
answers.  Failures are never kept, nor is an answer in which something looks like a credential.

What comes out says so: ``Call.cached`` is true, its tokens are those first reported, it costs nothing and takes no
time.  A cache never costs an episode: what cannot be read, or is damaged, is asked again.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.protocol import Agent, Observation
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import canonical, digest
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.workers.providers.model import EpisodeRequest, Model

FOLDER = "cache/"
_VERSION = 1
"""Part of every key: raise it when what is kept under a key means something else."""
_LOG = logging.getLogger(__name__)


class CachedModel:
    """Any model behind a cache; of calls that are the same at the same time in this process, one is asked.

    Args:
        model: who is asked for what is not there.
        spec: its description.
        store: where answers are kept, below :data:`FOLDER`.
    """

    def __init__(self, model: Model, spec: ModelSpec, store: ObjectStore) -> None:
        self._model, self._store = model, store
        # Servers that this project starts are somewhere else each time; what decides their answers is in the identity.
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
        """The kept answer to this prompt, or the agent's.  Raises ModelFailure as the agent does."""
        key = self._key(number, observation.prompt)
        while key in self._asked:
            # Somebody else asks this very moment.  When that fails or is given up, we ask ourselves.
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
            asking.cancel()  # does nothing to one that has its answer

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
            if _decode(there.data) is None:  # damaged: written anew
                self._store.replace(key, data, there.tag)
        except StoreError as error:
            _LOG.warning("the response cache cannot be written: %s", error)


@dataclass(frozen=True, slots=True)
class CachedAgent:
    """One episode's agent behind the cache."""

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
    """The inverse of :func:`_encode`; None when it is not what was written."""
    try:
        entry = json.loads(data)
        answer: Mapping[str, Any] = entry["answer"]
        if entry["sum"] != digest(answer):
            return None
        facts = {name: answer[name] for name in _CALL_FIELDS}
        return Reply(answer["text"], Call(role="agent", latency_s=0.0, retries=0, cached=True, **facts))
    except (ValueError, TypeError, KeyError):
        return None
