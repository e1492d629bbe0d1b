"""Runs jobs from the command line: messages on interruption, and flows on Prefect."""

import shlex
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from muses_eval.flows.job.evaluate import RunObserver
from muses_eval.flows.job.prepare import OnShard, PreparedRun
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.signals import InstallHandlers, run_until_signal

T = TypeVar("T")


def resume_advice() -> str:
    """Returns the message of an interrupted job, with the command that resumes it."""
    again = shlex.join(["muses", *sys.argv[1:]])
    return f"interrupted; finished episodes are stored. Resume with: {again}"


def exit_message(progress: ProgressDisplay) -> Callable[[], None]:
    """Returns a function that prints the message of a process that ends at once."""

    def say() -> None:
        progress.stop()
        print(f"muses: {resume_advice()}", file=sys.stderr, flush=True)  # noqa: T201

    return say


def run_on_prefect(flow: Callable[[RunObserver], Coroutine[Any, Any, T]], progress: ProgressDisplay) -> T:
    """Runs a flow on the Prefect server, or on an embedded one.

    Raises:
        MusesError: no server responds, or the connection was lost.
    """
    from muses_eval.flows.prefect_flows.server import reach_server, translate_server_errors

    reach_server()

    def job(take_signals: InstallHandlers) -> Coroutine[Any, Any, T]:
        def begin(run: PreparedRun) -> OnShard:
            take_signals()  # Prefect replaces the handlers while a flow runs
            return progress.begin(run)

        return flow(replace(progress.observer, begin=begin))

    with translate_server_errors():
        return run_until_signal(job, exit_message(progress))
