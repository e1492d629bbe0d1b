"""The interface of an executor, which plays shards in this process or on a Ray cluster."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable

OnStart = Callable[[], None]
"""Called when a shard starts, after it has waited for a free worker."""


def ignore_start() -> None:
    """Does nothing when a shard starts."""


class Executor(Protocol):
    """Accepts any number of shards at the same time and plays as many in parallel as its workers allow."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends running shards, which write their finished episodes, and closes everything."""
        ...

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        """Plays one shard when a worker is free.  *on_start* is called at each start, even after a worker died."""
        ...

    async def probe(self, spec: ModelSpec | AgentSpec) -> Unavailable | None:
        """Returns why a model, or an agent that is a service, cannot be called from a worker; None when it can."""
        ...

    async def snapshot(self) -> LimitsSnapshot:
        """Returns the state of the accounts that its calls use, with its own counts."""
        ...

    @property
    def dashboard_url(self) -> str | None:
        """URL of the cluster's dashboard; None when there is none."""
        ...
