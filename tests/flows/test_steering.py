"""A run in progress is paused, continued and stopped through its store."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path

import pytest
from muses_eval.flows.job.async_run_lock import hold_run_lock_async
from muses_eval.flows.job.evaluate import RunObserver, evaluate
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.job.run_pace import RunPace
from muses_eval.flows.job.steered_executor import SteeredExecutor
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import Interrupted
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_activity import RunActivity
from muses_eval.storage.runs.run_lock import HEARTBEAT, LockRecord, hold_run_lock
from muses_eval.storage.runs.run_wish import send_command
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.play.executor import OnStart, ignore_start
from muses_eval.workers.play.fair_queue import FairQueue
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary

from tests.conftest import Muses
from tests.provider import Provider, slow
from tests.workers.test_play_shard import ORACLE, spec

FAST = replace(HEARTBEAT, interval_s=0.01)
EPISODES = 6


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver looks at its lock a hundred times a second."""
    monkeypatch.setattr(
        "muses_eval.flows.job.prepare.hold_run_lock_async", partial(hold_run_lock_async, heartbeat=FAST)
    )
    monkeypatch.setattr("muses_eval.flows.job.stall_alarm.CHECK_EVERY_S", 0.01)


class Job:
    """A run in this process against a provider on loopback."""

    def __init__(self, folder: Path, provider: Provider, shard_size: int) -> None:
        self.store, self.said = open_store(str(folder)), list[str]()
        self._folder = folder
        self._raw = {
            "models": [{"model": "openai:m", "base_url": provider.base_url}],
            "dataset": f"generated:{EPISODES}",
            "families": ["queue"],
            "run_id": "mine",
            "store": str(folder),
            "execution": {"shard_size": shard_size, "shards_per_worker": 2},
        }

    def play(self) -> RunReport:
        config, settings = parse_config(self._raw, "here"), read_settings({"MUSES_HOME": str(self._folder)})
        return asyncio.run(evaluate(config, settings, RunObserver(warn=self.said.append)))

    def lock(self) -> LockRecord:
        record = LockRecord.from_json(self.store.get(lock_key("mine")))
        assert record is not None
        return record

    @property
    def playing(self) -> int | None:
        activity = self.lock().activity
        return None if activity is None else activity.playing

    @property
    def scored(self) -> int:
        return len(read_index(self.store, "mine").scored)


def until(true: Callable[[], bool]) -> None:
    while not true():
        pass


def test_a_paused_run_finishes_what_has_started_and_then_goes_on(tmp_path: Path) -> None:
    reached, paused = threading.Event(), threading.Event()

    def reply(_: object) -> str:
        reached.set()
        assert paused.wait(60)
        return "{}"

    with Provider(reply=reply) as provider:
        job = Job(tmp_path, provider, shard_size=1)
        result: list[RunReport] = []
        thread = threading.Thread(target=lambda: result.append(job.play()))
        thread.start()
        assert reached.wait(60)
        until(lambda: job.playing == 2)
        send_command(job.store, "mine", "pause")
        until(lambda: any("is paused" in line for line in job.said))
        paused.set()
        until(lambda: job.playing == 0)
        assert (job.scored, len(provider.completions)) == (2, 2)
        assert "the 2 that have started are finished" in job.said[-1]
        assert f"muses resume mine --store {tmp_path}" in job.said[-1]
        send_command(job.store, "mine", "resume")
        thread.join(60)
        assert job.said[-1] == "run mine goes on"
        assert result[0].outcomes["scored"] == len(provider.completions) == EPISODES


def test_a_stopped_run_keeps_what_is_finished_and_is_completed_by_the_next_start(tmp_path: Path) -> None:
    hanging = chain([None], repeat(slow(3600.0), 5), repeat(None))
    with Provider(reply=lambda _: "{}", script=hanging) as provider:
        job = Job(tmp_path, provider, shard_size=3)

        def stop() -> None:
            until(lambda: len(provider.completions) == EPISODES and job.playing == EPISODES)
            send_command(job.store, "mine", "stop")

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Interrupted, match="run mine: stopped, because a person asked for it") as stopped:
            job.play()
        thread.join()
        assert stopped.value.exit_code == 130
        assert job.scored == 1
        assert job.play().outcomes["scored"] == EPISODES
        assert len(provider.completions) == EPISODES + 5


def test_the_commands_reach_a_run_in_progress(muses: Muses, tmp_path: Path) -> None:
    done = muses("run", "--model=scripted/oracle", "--family=queue", "--dataset=generated:1", "--store=out", "--quiet")
    assert done.returncode == 0, done.stderr
    store = open_store(str(tmp_path / "out"))
    (run_id,) = (path.stem for path in (tmp_path / "out" / "runs").glob("*.json"))
    refused = muses("stop", run_id, "--store=out")
    assert (refused.returncode, "no process plays the run" in refused.stderr) == (2, True)
    with hold_run_lock(store, run_id, "muses run", FAST) as lock:
        lock.report_activity(RunActivity(playing=1, left_s=None))
        until(lambda: b'"playing": 1' in store.get(lock_key(run_id)))
        for command, wish in (("pause", "pause"), ("resume", None), ("stop", "stop")):
            done = muses(command, run_id, "--store=out")
            assert done.returncode == 0, done.stderr
            assert f"run {run_id} on " in done.stderr
            until(lambda wish=wish: lock.wish == wish)  # type: ignore[misc]


class OneWorker(InlineExecutor):
    """An executor with one worker, which plays a shard until the test says that it is done."""

    def __init__(self) -> None:
        super().__init__(1)
        self.started, self.done = list[str](), asyncio.Event()
        self._workers: FairQueue[None] = FairQueue()
        self._workers.add(None)

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        await self._workers.acquire(spec.run_id)
        try:
            on_start()
            self.started.append(f"{spec.run_id} {spec.number}")
            await self.done.wait()
            return ShardSummary(str(spec.key), {"scored": 1}, {}, None)
        finally:
            self._workers.release(spec.run_id)
            self._workers.add(None)


def test_a_paused_run_leaves_the_workers_to_other_runs(tmp_path: Path) -> None:
    asyncio.run(leave_the_workers(spec(tmp_path, ORACLE)))


async def leave_the_workers(shard: ShardSpec) -> None:
    inner = OneWorker()
    first, second = SteeredExecutor(inner, RunPace()), SteeredExecutor(inner, RunPace())
    of_first = [replace(shard, run_id="first", number=number) for number in range(3)]
    tasks = [asyncio.create_task(first.run(each)) for each in of_first]
    await turns()
    first.pause()
    tasks.append(asyncio.create_task(second.run(replace(of_first[0], run_id="second"))))
    await turns()
    assert inner.started == ["first 0"]
    inner.done.set()
    await turns()
    assert inner.started == ["first 0", "second 0"]
    tasks[2].cancel()
    first.resume()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, ShardSummary) for each in done] == [True, True, False, True]
    assert inner.started == ["first 0", "second 0", "first 1"]


async def turns() -> None:
    """Lets all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)
