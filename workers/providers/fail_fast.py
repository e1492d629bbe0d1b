"""Stops calling a model that failed permanently, for instance because of a wrong key or an unknown model name.

Every later call, and every call that still waits, raises the same failure at once.  The run then spends neither time
nor money on that model, and its other models continue.  The state lasts until the process ends; the next start calls
the model again.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.chat_request import ChatRequest
from muses_eval.workers.providers.model import EpisodeRequest, Model, ModelAgent


class FailFastModel:
    """Wraps a model, and fails fast once it has failed permanently."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: set[asyncio.Task[object]] = set()
        self.failure: ModelFailure | None = None
        """The permanent failure; None until there is one."""

    def agent(self, request: EpisodeRequest) -> "FailFastAgent":
        return FailFastAgent(self, self._model.agent(request))

    async def probe(self) -> None:
        await self._model.probe()

    async def close(self) -> None:
        await self._model.close()

    def check(self) -> None:
        """Raises the permanent failure, if there is one."""
        if self.failure is not None:
            raise self.failure

    async def waited(self, reply: Awaitable[Reply]) -> Reply:
        """Returns the reply of a call.  Raises ModelFailure: the call's own, or the permanent one."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        cancelled_before = task.cancelling()
        self._waiting.add(task)
        try:
            return await reply
        except ModelFailure as failure:
            if failure.ends_model and self.failure is None:
                self._end(failure, task)
            raise
        except asyncio.CancelledError:
            ours = self._ended(task, cancelled_before)
            if ours is not None:
                raise ours from None
            raise
        finally:
            self._waiting.discard(task)

    def _end(self, failure: ModelFailure, finder: "asyncio.Task[object]") -> None:
        self.failure = failure
        others, self._waiting = self._waiting - {finder}, set()
        for task in others:
            task.cancel()

    def _ended(self, task: "asyncio.Task[object]", cancelled_before: int) -> ModelFailure | None:
        """Returns the failure for which this class cancelled a task; None when something else cancelled it as well."""
        if self.failure is None or task in self._waiting:
            return None
        return self.failure if task.uncancel() <= cancelled_before else None


@dataclass(frozen=True, slots=True)
class FailFastAgent:
    """The model in one episode, which fails fast with the others."""

    model: FailFastModel
    agent: ModelAgent

    async def reply(self, observation: Observation) -> Reply:
        self.model.check()
        return await self.model.waited(self.agent.reply(observation))

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:
        self.model.check()
        return await self.model.waited(self.agent.chat(observation, request))
