"""A worker: one event loop that plays shards, in this process or inside a Ray actor."""

import asyncio
import os
import uuid
from collections.abc import Mapping
from functools import partial

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ModelFailure, MusesError
from muses_eval.pipeline.families import find_family
from muses_eval.pipeline.families.family import is_multi_turn
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.workers.agents.agent_host import AgentHost
from muses_eval.workers.budget import BudgetClient, BudgetSpec
from muses_eval.workers.coordinator.coordinator import CoordinatorClient, LocalCoordinator
from muses_eval.workers.limits import LeaseHolder, LimitsClient
from muses_eval.workers.play.play_shard import play_shard
from muses_eval.workers.play.shard_episode import ShardModels
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.fail_fast import FailFastModel
from muses_eval.workers.providers.model import Model, Unavailable
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.providers.response_cache import CachedModel


class ShardWorker:
    """Plays shards, and keeps the connections of its models open from one shard to the next.

    Args:
        environ: environment with the API keys; by default that of this process.
        coordinator: client of the coordinator that it shares with other workers; None for one of its own.
        run: id of the run; workers of the same run share its part of every limit.
        weight: weight of the run when several runs want more than there is.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        coordinator: CoordinatorClient | None = None,
        run: str = "run",
        weight: int = 1,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._coordinator = coordinator or LocalCoordinator()
        self._name = str(uuid.uuid4())
        self._limits = LimitsClient(self._coordinator, LeaseHolder(run, self._name, weight))
        self._models: dict[tuple[ModelSpec, str | None], Model] = {}
        self._stores: dict[str, ObjectStore] = {}
        self._budgets: dict[str, BudgetClient] = {}
        self._playing: set[asyncio.Task[ShardSummary]] = set()
        self._agents = AgentHost(self._environ)

    async def run(self, spec: ShardSpec) -> ShardSummary:
        """Plays one shard.  Several shards may be played at the same time."""
        store = self._store(spec.store)
        simulated = spec.users.model if is_multi_turn(find_family(spec.family)) else None
        users = None if simulated is None else self._model(simulated, spec.cache)
        open_agent = None if spec.agent.is_chat else partial(self._agents.open, store)
        models = ShardModels(self._model(spec.model, spec.cache), users, open_agent)
        task = asyncio.create_task(play_shard(spec, models, store, self._budget(spec.budget)), name=str(spec.key))
        self._playing.add(task)
        try:
            return await task
        finally:
            self._playing.discard(task)

    async def stop(self, key: str) -> None:
        """Ends one shard; returns when its finished episodes are written."""
        playing = [task for task in self._playing if task.get_name() == key]
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        """Returns why a model, or an agent that is a service, cannot be called from here; None when it can."""
        try:
            await (self._model(spec) if isinstance(spec, ModelSpec) else self._agents.service(spec)).probe()
        except (ModelFailure, MusesError) as error:
            return Unavailable.of(error)
        return None

    async def drain(self) -> None:
        """Ends all shards; each writes its finished episodes."""
        playing = list(self._playing)
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    async def close(self) -> None:
        await self._agents.close()
        for model in self._models.values():
            await model.close()
        self._models.clear()
        for client in self._budgets.values():
            await client.close()
        self._budgets.clear()
        await self._limits.close()

    def _store(self, url: str) -> ObjectStore:
        return self._stores.setdefault(url, open_store(url))

    def _budget(self, budget: BudgetSpec | None) -> BudgetClient | None:
        if budget is None:
            return None
        return self._budgets.setdefault(budget.id, BudgetClient(self._coordinator, budget, self._name))

    def _model(self, spec: ModelSpec, cache: str | None = None) -> Model:
        """Returns the client of a model: it fails fast after a permanent failure, and is behind the response cache."""
        if (spec, cache) not in self._models:
            model = open_model(spec, self._environ, self._limits)
            if spec.provider != "scripted":
                model = FailFastModel(model)
                model = model if cache is None else CachedModel(model, spec, self._store(cache))
            self._models[spec, cache] = model
        return self._models[spec, cache]
