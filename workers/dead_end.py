"""A model that has once failed for good is not asked again: a wrong key, an unknown model.

Who asks it afterwards, and who still waits for it, gets the same failure at once, so that a run loses no time, no money
and no patience of the provider on it, while its other models go on.  It holds until the process ends: the next start
tries again.
"""

import asyncio
from dataclasses import dataclass

from pipeline.errors import ModelFailure
from pipeline.protocol import Agent, Observation, Reply
from workers.models import EpisodeRequest, Model


class DeadEndModel:
    """Any model, until it fails for good."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: set[asyncio.Task[object]] = set()
        self.failure: ModelFailure | None = None
        """Why it is not asked any more."""

    def agent(self, request: EpisodeRequest) -> "DeadEndAgent":
        return DeadEndAgent(self, self._model.agent(request))

    async def probe(self) -> None:
        await self._model.probe()

    async def close(self) -> None:
        await self._model.close()

    async def reply(self, agent: Agent, observation: Observation) -> Reply:
        """The agent's reply.  Raises ModelFailure: its own, or the one after which nobody asks."""
        if self.failure is not None:
            raise self.failure
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        cancelled_before = task.cancelling()
        self._waiting.add(task)
        try:
            return await agent.reply(observation)
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
        """Why a task was cancelled by us; None: by somebody else, or by both."""
        if self.failure is None or task in self._waiting:
            return None
        return self.failure if task.uncancel() <= cancelled_before else None


@dataclass(frozen=True, slots=True)
class DeadEndAgent:
    """One episode's agent of such a model."""

    model: DeadEndModel
    agent: Agent

    async def reply(self, observation: Observation) -> Reply:
        return await self.model.reply(self.agent, observation)
