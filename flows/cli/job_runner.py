"""Runs jobs from the command line: messages on interruption, and flows on Prefect."""

import shlex
import sys
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from muses_eval.flows.job.evaluate import RunObserver
from muses_eval.flows.job.prepare import OnShard, PreparedRun
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.signals import InstallHandlers, run_until_signal
from muses_eval.pipeline.errors import FailureKind

T = TypeVar("T")

_LASTING = frozenset[FailureKind]({"auth", "internal"})
"""Kinds of failures that a later start meets again, unless a person corrects their cause."""

ALL_UNUSABLE = (
    "No model is ranked: too many replies of every model are unusable (more than max_unusable). The lines above say of "
    "which kind."
)
"""Message of a job whose exit code is that of short coverage although all episodes are scored."""


def resume_advice() -> str:
    """Returns the message of an interrupted job, with the command that resumes it."""
    again = shlex.join(["muses", *sys.argv[1:]])
    return f"interrupted; finished episodes are stored. Resume with: {again}"


def pending_advice(kinds: Collection[FailureKind]) -> str:
    """Returns how to play the pending episodes of a job whose calls failed in these ways."""
    again = "Start the same command again to play the pending episodes"
    lasting = _LASTING.intersection(kinds)
    if not lasting:
        return f"{again}."
    if lasting.issuperset(kinds):
        return "The same calls would fail again: correct what the messages above name; then the command plays the rest."
    return f"{again}; those with {' or '.join(sorted(lasting))} failures need the correction that their message names."


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
