"""muses-eval: distributed evaluation of LLM agents that serve many users at once.

    run(config)               plays an evaluation and returns its report
    plan(config)              episodes, cost and time of an evaluation
    connect(store)            a DuckDB connection with the views over a store
    scan(store)               the episodes as a Polars LazyFrame
    leaderboard(store)        mean and standard error of every model, as a Polars DataFrame
    compare(a, b)             differences of models paired by scenario, as a Polars DataFrame
    harness(store)            what every agent changes, compared with its model alone, as a Polars DataFrame
    trace(episode_id)         one episode: transcript, messages, scores, calls

Each is documented by ``help()`` and in docs/python.md.  The sub-packages are the folders at the top of the repository;
in a checkout they are links to these folders.

Where the environment names a proxy, the import adds the addresses of this machine to NO_PROXY, so that Prefect, Ray and
all other processes of a run find each other (:mod:`muses_eval.pipeline.loopback`).
"""

import os

from muses_eval.pipeline.loopback import exempt_loopback

TYPE_CHECKING = False  # not from typing, whose import would take most of the time; type checkers know the name
if TYPE_CHECKING:
    from muses_eval.flows.api.compare import compare
    from muses_eval.flows.api.harness import harness
    from muses_eval.flows.api.leaderboard import leaderboard
    from muses_eval.flows.api.plan import RunPlan, plan
    from muses_eval.flows.api.run import run
    from muses_eval.flows.api.stored_rows import connect, scan
    from muses_eval.flows.api.trace import Trace, trace
    from muses_eval.flows.job.report import RunReport
    from muses_eval.pipeline.config.run import RunConfig
    from muses_eval.pipeline.errors import (
        ConfigError,
        DatasetError,
        EndpointError,
        MusesError,
        Stalled,
        StoreError,
    )
    from muses_eval.storage.runs.manifest import NoSuchRunError, RunMismatchError
    from muses_eval.storage.runs.run_lock import RunLockedError

__all__ = [
    "ConfigError",
    "DatasetError",
    "EndpointError",
    "MusesError",
    "NoSuchRunError",
    "RunConfig",
    "RunLockedError",
    "RunMismatchError",
    "RunPlan",
    "RunReport",
    "Stalled",
    "StoreError",
    "Trace",
    "compare",
    "connect",
    "harness",
    "leaderboard",
    "plan",
    "run",
    "scan",
    "trace",
]

_MODULES = {
    "flows.api.compare": ("compare",),
    "flows.api.harness": ("harness",),
    "flows.api.leaderboard": ("leaderboard",),
    "flows.api.plan": ("RunPlan", "plan"),
    "flows.api.run": ("run",),
    "flows.api.stored_rows": ("connect", "scan"),
    "flows.api.trace": ("Trace", "trace"),
    "flows.job.report": ("RunReport",),
    "pipeline.config.run": ("RunConfig",),
    "pipeline.errors": ("ConfigError", "DatasetError", "EndpointError", "MusesError", "Stalled", "StoreError"),
    "storage.runs.manifest": ("NoSuchRunError", "RunMismatchError"),
    "storage.runs.run_lock": ("RunLockedError",),
}

# At import, because every process begins with it: a command, a notebook, a flow that Prefect starts, a worker of Ray.
exempt_loopback(os.environ)


def __getattr__(name: str) -> object:
    """Imports a name on first use, so that ``import muses_eval`` takes milliseconds and loads no engine."""
    from importlib import import_module

    for module, names in _MODULES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"muses_eval.{module}"), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
