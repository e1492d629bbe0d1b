"""Carries out what people ask of a run in progress: ``muses pause``, ``resume`` and ``stop``, or the Live page."""

import shlex
from dataclasses import dataclass

from muses_eval.flows.job.prepare import PreparedRun, Warn
from muses_eval.flows.job.stall_alarm import OnStatus
from muses_eval.flows.job.steered_executor import SteeredExecutor
from muses_eval.pipeline.errors import Interrupted
from muses_eval.storage.runs.run_activity import RunActivity
from muses_eval.storage.runs.run_lock import RunLock
from muses_eval.workers.limits import LimitsSnapshot

LEFT_EVERY = 5
"""Number of status calls, one a second, between two estimates of the time left."""


@dataclass(slots=True)
class Steering:
    """Compares what the run's lock asks with what the executor does, at every status of the accounts."""

    run: PreparedRun
    lock: RunLock
    executor: SteeredExecutor
    warn: Warn
    calls: int = 0
    left_s: float | None = None

    def follow(self, on_status: OnStatus) -> OnStatus:
        """Returns an observer that passes the status to *on_status*, and raises Interrupted when the run shall stop."""

        def observe(snapshot: LimitsSnapshot) -> None:
            self._steer()
            self._report(snapshot)
            on_status(snapshot)

        return observe

    def _steer(self) -> None:
        wish, run_id = self.lock.wish, self.run.plan.run_id
        if wish == "stop":
            raise Interrupted(
                f"run {run_id}: stopped, because a person asked for it (`muses stop` or the Live page); finished"
                " episodes are stored. Start the same command again to play the rest"
            )
        if wish == "pause" and not self.executor.is_paused:
            self.executor.pause()
            again = shlex.join(["muses", "resume", run_id, "--store", self.run.store.url])
            self.warn(
                f"run {run_id} is paused: no episode starts, and the {self.run.pace.playing:,} that have started are"
                f" finished and stored. Continue with: {again}"
            )
        elif wish is None and self.executor.is_paused:
            self.executor.resume()
            self.warn(f"run {run_id} goes on")

    def _report(self, snapshot: LimitsSnapshot) -> None:
        pace = self.run.pace
        pace.is_paused = self.executor.is_paused
        pace.status(snapshot)
        if self.calls % LEFT_EVERY == 0:
            self.left_s = pace.time_left()
        self.calls += 1
        self.lock.report_activity(RunActivity(playing=pace.playing, left_s=self.left_s))
