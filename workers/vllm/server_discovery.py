"""Finds the servers of a model: a worker asks the model's replica set for their addresses."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import ray
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError, ModelFailure
from muses_eval.workers.vllm.replica_set_spec import replica_set_name
from ray.exceptions import RayError

RESOLVE_TIMEOUT_S = 600.0
"""Seconds that calls wait while their model has no server that is ready; later calls fail at once until it has one."""
_CACHE_S = 1.0


class ServerDiscovery:
    """The addresses of a model's servers, as a worker of the run sees them; requested at most once a second."""

    def __init__(self, model: ModelSpec) -> None:
        if not ray.is_initialized():
            raise ConfigError(
                f"model {model.name!r}: vllm:{model.model} is served on Ray; write execution: {{executor: ray}}"
            )
        self._model = model
        self._urls: tuple[str, ...] = ()
        self._valid_until = 0.0
        self._timed_out = False
        """True after a wait in vain, until a server is found again."""
        self._lock = asyncio.Lock()

    async def resolve(self) -> Sequence[str]:
        """Returns the base URLs of the servers that are ready; waits while none is.

        Raises:
            ModelFailure: no server has been ready for ten minutes, or the fleet no longer serves this model.
        """
        async with self._lock:  # one request for all waiting calls
            if time.monotonic() >= self._valid_until:
                self._urls = await self._request()
                self._valid_until = time.monotonic() + _CACHE_S
        if not self._urls:
            raise ModelFailure(
                "server", f"{self._model.name}: for more than {RESOLVE_TIMEOUT_S:.0f} s none of its servers has been up"
            )
        return self._urls

    async def _request(self) -> tuple[str, ...]:
        try:
            actor: Any = ray.get_actor(replica_set_name(self._model))
            urls: tuple[str, ...] = await actor.addresses.remote(0.0 if self._timed_out else RESOLVE_TIMEOUT_S)
        except (ValueError, RayError):
            raise ModelFailure("server", f"{self._model.name}: the fleet no longer serves this model") from None
        self._timed_out = not urls
        return urls
