"""One event loop that plays shards: the same object in this process and inside a Ray actor."""

import asyncio
import os
from collections.abc import Mapping

from pipeline.errors import ModelFailure, MusesError
from pipeline.families import FAMILIES
from pipeline.specs import ModelSpec
from storage.objects import ObjectStore, open_store
from workers.clients import open_model
from workers.limits import AccountLimits
from workers.models import Model
from workers.shard import Players, ShardSpec, ShardSummary, run_shard


class ShardWorker:
    """Keeps its models' connections open from one shard to the next.

    Args:
        environ: where API keys are looked up by name: the environment of the process that makes the calls.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._limits = AccountLimits()
        self._models: dict[ModelSpec, Model] = {}
        self._stores: dict[str, ObjectStore] = {}
        self._playing: set[asyncio.Task[ShardSummary]] = set()

    async def run(self, spec: ShardSpec) -> ShardSummary:
        """Plays one shard.  Several may be played at the same time."""
        store = self._stores.setdefault(spec.store, open_store(spec.store))
        # In a family of one turn nobody answers the agent, so no model has to play the users.
        simulated = spec.users.model if FAMILIES[spec.family].max_turns > 1 else None
        users = None if simulated is None else self._model(simulated)
        players = Players(self._model(spec.model), users)
        task = asyncio.create_task(run_shard(spec, players, store))
        self._playing.add(task)
        try:
            return await task
        finally:
            self._playing.discard(task)

    async def probe(self, spec: ModelSpec) -> str | None:
        """What is wrong with a model's endpoint as seen from here, or None."""
        try:
            await self._model(spec).probe()
        except (ModelFailure, MusesError) as error:
            return str(error)
        return None

    async def drain(self) -> None:
        """Ends all shards now; each writes what it has finished."""
        playing = list(self._playing)
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)

    async def close(self) -> None:
        for model in self._models.values():
            await model.close()
        self._models.clear()

    def _model(self, spec: ModelSpec) -> Model:
        if spec not in self._models:
            self._models[spec] = open_model(spec, self._environ, self._limits)
        return self._models[spec]
