"""Flows that fail, with the real engines: retries, partial results, and no episode played twice.

When a process is killed in the middle of a run, the next start finishes the run with every episode once and with the
scores of an undisturbed run.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from muses_eval.flows.job.evaluate import Driver, evaluate
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.settings import read_settings, set_environment_defaults
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import ConfigError, MusesError, StoreError
from muses_eval.storage.objects.object_keys import LOCKS
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import LockRecord
from muses_eval.workers.play.executor import OnStart, ignore_start
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary

from tests.conftest import Muses
from tests.flows.conftest import Deploy
from tests.flows.test_deploy import file_of
from tests.flows.test_interrupt import (
    ANSWERED,
    EPISODES,
    SHARD,
    SIGKILL,
    Stall,
    Stopped,
    _marked,
    job,
    reply,
    scores,
    stored_once,
)
from tests.front import Front
from tests.prefect_server import PATIENCE_S, PrefectServer, prefect_server
from tests.provider import Provider, Response, slow
from tests.receiver import Receiver


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """The scores of the same run without a disturbance."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with Provider(reply=reply) as provider:
        done = Stopped(folder, *job(provider, "run")).wait()
    assert done.returncode == 0, done.stderr
    return scores(folder)


# --- a cell that fails -------------------------------------------------------------------------------------------


class Troubled(InlineExecutor):
    """Plays shards one at a time; ``trouble`` may raise to fail a shard."""

    def __init__(self, trouble: Callable[[ShardSpec], None]) -> None:
        super().__init__(shards_at_once=1)
        self._trouble, self._turn = trouble, asyncio.Semaphore(1)
        self.played: list[tuple[str, str, int, int]] = []

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        async with self._turn:
            self._trouble(spec)
            summary = await super().run(spec, on_start)
            self.played.append((spec.model.name, spec.family, spec.number, spec.attempt))
        return summary


def is_locked(folder: Path) -> bool:
    """Returns True when a run of the folder's store is still locked: its process was killed, or is at work."""
    store = open_store(str(folder / ".muses" / "store"))
    records = [LockRecord.from_json(store.get(info.key)) for info in store.list(LOCKS)]
    assert records
    return any(record is None or record.owner for record in records)


def run_on_prefect(server: PrefectServer, folder: Path, executor: InlineExecutor, **config: Any) -> RunReport:
    """Plays a run in this process, with one task per cell, on this executor."""
    from muses_eval.flows.prefect_flows.tasks import play_as_tasks
    from prefect import flow
    from prefect.settings import PREFECT_API_URL, temporary_settings

    raw = {"models": ["scripted/oracle", "scripted/refuse"], "families": ["queue"], "dataset": "generated:6"}
    parsed = parse_config({**raw, "store": str(folder), "execution": {"shard_size": 2}, **config}, "here")

    @asynccontextmanager
    async def open_executor(*_: object) -> Any:
        async with executor:
            yield executor

    @flow(name=f"troubled-{folder.name}")
    async def troubled() -> RunReport:
        return await evaluate(parsed, read_settings(), driver=Driver("tests", open_executor, play_as_tasks))

    with temporary_settings({PREFECT_API_URL: server.url}):
        return asyncio.run(troubled())


def task_states(server: PrefectServer, flow: str) -> dict[str, tuple[str, int]]:
    """Returns task name -> (name of its state, number of times it ran)."""
    from prefect.client.schemas.filters import FlowFilter

    def read() -> dict[str, tuple[str, int]]:
        found = server.ask(lambda client: client.read_task_runs(flow_filter=FlowFilter(name={"any_": [flow]})))
        return {task.name.partition(": ")[2]: (task.state_name, task.run_count) for task in found}

    server.wait_until(lambda: all(name not in ("Pending", "Running") for name, _ in read().values()))
    return read()


@pytest.mark.integration
def test_a_cell_is_tried_again_with_what_it_owes_by_then(prefect: PrefectServer, tmp_path: Path) -> None:
    """A retried cell keeps its ids and plays only what its first attempt has not stored; other cells are unaffected."""
    failed: list[ShardSpec] = []

    def trouble(spec: ShardSpec) -> None:
        if spec.model.name == "scripted/refuse" and spec.number == 1 and not failed:
            failed.append(spec)
            raise StoreError("the store was away for a moment")

    executor = Troubled(trouble)
    done = run_on_prefect(prefect, tmp_path, executor, flow={"retry_seconds": 0})
    assert done.complete
    assert done.outcomes["scored"] == 12
    assert sorted(executor.played) == [
        (f"scripted/{kind}", "queue", number, 1) for kind in ("oracle", "refuse") for number in range(3)
    ]
    assert task_states(prefect, f"troubled-{tmp_path.name}") == {
        "scripted/oracle on queue": ("Completed", 1),
        "scripted/refuse on queue": ("Completed", 2),
    }


@pytest.mark.slow
@pytest.mark.integration
def test_a_cell_that_cannot_be_played_does_not_stop_the_others(prefect: PrefectServer, tmp_path: Path) -> None:
    tries: list[ShardSpec] = []

    def trouble(spec: ShardSpec) -> None:
        if spec.model.name == "scripted/oracle":
            tries.append(spec)
            raise StoreError("the store is away")

    executor = Troubled(trouble)
    with pytest.raises(StoreError, match="the store is away"):
        run_on_prefect(prefect, tmp_path, executor, flow={"cell_retries": 1, "retry_seconds": 0})
    assert task_states(prefect, f"troubled-{tmp_path.name}")["scripted/oracle on queue"] == ("Failed", 2)
    assert {spec.number for spec in tries}
    assert [model for model, *_ in executor.played] == ["scripted/refuse"] * 3


@pytest.mark.integration
def test_what_a_retry_cannot_mend_is_not_tried_again(prefect: PrefectServer, tmp_path: Path) -> None:
    def trouble(spec: ShardSpec) -> None:
        raise ConfigError("this will not change")

    with pytest.raises(ConfigError):
        run_on_prefect(prefect, tmp_path, Troubled(trouble), flow={"retry_seconds": 0})
    assert {count for _, count in task_states(prefect, f"troubled-{tmp_path.name}").values()} == {1}


# --- time limits --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_cell_has_its_time(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    """A cell that times out keeps its finished episodes, the other cells are played, and the run reports the gap."""
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        arguments = limited(tmp_path, provider, cell_minutes=0.2)
        done = muses(*arguments, PREFECT_API_URL=prefect.url)
        assert done.returncode == 3, done.stderr
        found = json.loads(done.stdout)
        assert 0 < found["episodes"]["scored"] - EPISODES <= ANSWERED
        stall.over = True
        again = muses(*limited(tmp_path, provider), PREFECT_API_URL=prefect.url)
        assert again.returncode == 0, again.stderr
    states = task_states(prefect, "evaluate")
    assert stored_once(tmp_path) == 2 * EPISODES
    assert states["limited on queue"][0] in ("TimedOut", "Completed")


class Late(InlineExecutor):
    """An executor whose model servers start late."""

    WAIT_S = 8.0

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        await asyncio.sleep(self.WAIT_S)
        return await super().run(spec, on_start)


@pytest.mark.slow
@pytest.mark.integration
def test_waiting_for_room_is_not_a_cells_time(prefect: PrefectServer, tmp_path: Path) -> None:
    late = Late(shards_at_once=1)
    done = run_on_prefect(prefect, tmp_path, late, flow={"cell_minutes": 0.6 * Late.WAIT_S / 60})
    assert done.complete
    assert {state for state, _ in task_states(prefect, f"troubled-{tmp_path.name}").values()} == {"Completed"}


class Failing(InlineExecutor):
    """An executor that fails with a full disk when a shard times out and is about to store its finished episodes."""

    tries = 0

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        self.tries += 1
        on_start()
        try:
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            raise OSError("no space left") from None
        raise AssertionError("it was not cancelled")


@pytest.mark.slow
@pytest.mark.integration
def test_a_cell_that_fails_when_its_time_is_over_is_not_tried_again(
    prefect: PrefectServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(shards_at_once=1)
    run_on_prefect(prefect, tmp_path, failing, models=["scripted/oracle"], flow={"cell_minutes": 0.01})
    assert failing.tries == 3  # one per shard
    assert "played for more than 0.01 minutes, and then: no space left" in caplog.text


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_flow_has_its_time(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        arguments = limited(tmp_path, provider, flow_minutes=0.2)
        done = muses(*arguments, PREFECT_API_URL=prefect.url)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("muses: ended after 0.2 minutes, the limit of flow.flow_minutes")
        assert EPISODES < stored_once(tmp_path) <= EPISODES + ANSWERED
        stall.over = True
        again = muses(*limited(tmp_path, provider), PREFECT_API_URL=prefect.url)
        assert again.returncode == 0, again.stderr
    assert stored_once(tmp_path) == 2 * EPISODES


def limited(folder: Path, provider: Provider, **flow: Any) -> tuple[str, ...]:
    """Returns the arguments of a run of a model that stalls and one that does not."""
    config = {
        "name": "limited",
        "max_unusable": 1,
        "models": [{"model": "openai:m", "name": "limited", "base_url": provider.base_url}, "scripted/oracle"],
        "families": ["queue"],
        "dataset": f"generated:{EPISODES}",
        "flow": flow,
        "execution": {"shard_size": SHARD, "shards_per_worker": 2 * EPISODES},  # a slot for every shard, waiting or not
    }
    (folder / "limited.yaml").write_text(yaml.safe_dump(config))
    return "flow", "evaluate", "limited.yaml", "--json", "--quiet"


# --- killed processes ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("victim", ["flow", "ray"])
def test_the_next_start_finishes_what_was_killed(
    muses: Muses,
    prefect: PrefectServer,
    tmp_path: Path,
    *,
    undisturbed: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    victim: str,
) -> None:
    """SIGKILL hits the process of the flow, or all processes that its Ray has started, as when a head node dies."""
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # to reach the head node; default: 60
    stall = Stall()
    ray = ("--executor=ray",) if victim == "ray" else ()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        running = Stopped(tmp_path, *job(provider, "flow", "evaluate"), *ray)
        assert stall.reached.wait(PATIENCE_S)
        if victim == "flow":
            running.send(*SIGKILL)
        else:
            for pid in ray_processes(running):
                os.kill(pid, signal.SIGKILL)
        stall.over = True
        assert running.wait().returncode != 0
        wait_for(lambda: not running.left_behind)
        finished = stored_once(tmp_path)
        before = len(provider.completions)
        resumed = muses(*job(provider, "run"))
        assert resumed.returncode == 0, resumed.stderr
        assert len(provider.completions) - before == EPISODES - finished
    assert stored_once(tmp_path) == EPISODES
    assert scores(tmp_path) == undisturbed


def ray_processes(running: Stopped) -> list[int]:
    commands = {pid: command.split(" ")[0] for pid, command in _marked(running.mark)}
    found = [
        pid
        for pid, command in commands.items()
        if command.endswith(("/gcs_server", "/raylet")) or command.startswith("ray::")
    ]
    assert len(found) > 2
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.integration
def test_a_sweep_that_a_worker_plays_is_killed_and_somebody_is_told(
    deploy: Deploy, prefect: PrefectServer, receiver: Receiver, tmp_path: Path
) -> None:
    """A killed flow cannot send a notification, so the worker does; the deployment's next run plays the rest."""
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect.url}):
        Webhook(url=receiver.address("/crashed")).save("on-crash", overwrite=True)
    stall, planned, pool = Stall(), 2 * EPISODES, f"kills-{tmp_path.name[-8:]}".lower()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        config = {
            "name": "killed",
            "max_unusable": 1,
            "models": [{"model": "openai:m", "base_url": provider.base_url}],
            "families": ["queue"],
            "grid": {"dataset": [f"generated:{EPISODES}@{seed}" for seed in (1, 2)]},
            "execution": {"shard_size": SHARD},
            "notify": ["webhook/on-crash"],
        }
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(config))
        file = file_of(tmp_path, pool)
        deploy("sweep.yaml", "--prefect-file", str(file))
        with prefect.worker(pool):
            run = prefect.run_deployment("sweep/killed")
            assert stall.reached.wait(PATIENCE_S), prefect.worker_log
            os.kill(process_of(prefect, run), signal.SIGKILL)
            assert prefect.wait_for_end(run).type.value == "CRASHED", prefect.worker_log
            prefect.wait_until(lambda: bool(receiver.at("/crashed")))
            finished = stored_once(tmp_path)
            stall.over = True
            before = len(provider.completions)
            state = prefect.wait_for_end(prefect.run_deployment("sweep/killed"))
        assert state.type.value == "COMPLETED", state
        assert len(provider.completions) - before == planned - finished
    (message,) = receiver.at("/crashed")
    assert (message["event"], message["what"]) == ("failure", "sweep-killed: crashed")
    assert message["where"] == f"store {tmp_path}/.muses/store"
    assert message["more"] == f"prefect flow-run logs {run}"
    assert stored_once(tmp_path) == planned
    # Tasks lack the deployment's tag: Prefect would ask the server for a concurrency slot for each tag of a task.
    assert task_tags(prefect, "sweep-killed") == [[]]


def task_tags(server: PrefectServer, flow_run: str) -> list[list[str]]:
    """Returns the distinct lists of tags of the tasks in flow runs with this name."""
    from prefect.client.schemas.filters import FlowRunFilter

    found = server.ask(lambda client: client.read_task_runs(flow_run_filter=FlowRunFilter(name={"any_": [flow_run]})))
    return [list(tags) for tags in sorted({tuple(task.tags) for task in found})]


def process_of(server: PrefectServer, flow_run_id: str) -> int:
    """Returns the id of the process in which a worker executes a flow run."""

    async def read(client: Any) -> int:
        return int(str((await client.read_flow_run(flow_run_id)).infrastructure_pid).rpartition(":")[2])

    return server.ask(read)


class Pause(Stall):
    """A stall whose waiting requests are answered in the end."""

    def __next__(self) -> Response | None:
        return None if super().__next__() is None else slow(8)


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_server_costs_no_episode(muses: Muses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose server is killed still plays all its episodes; only its final state does not reach Prefect."""
    pause = Pause()
    with (
        prefect_server(tmp_path / "prefect") as server,
        Provider(reply=reply, script=pause, latency_s=0.05) as provider,
    ):
        monkeypatch.setenv("PREFECT_API_URL", server.url)
        running = Stopped(tmp_path, *job(provider, "flow", "evaluate"))
        assert pause.reached.wait(PATIENCE_S)
        server.stop(signal.SIGKILL)
        pause.over = True
        wait_for(lambda: stored_once(tmp_path) == EPISODES)
        running.send(*SIGKILL)
        running.wait()
        resumed = muses(*job(provider, "run"))
        assert resumed.returncode == 0, resumed.stderr
        assert len(provider.completions) == EPISODES
    assert stored_once(tmp_path) == EPISODES


@pytest.mark.slow
@pytest.mark.integration
def test_a_server_that_is_in_trouble_for_a_while_costs_nothing(
    prefect: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run continues while a proxy answers for the server with 503, and its final state reaches Prefect afterwards."""
    pause = Pause()
    with Front(prefect.port) as front, Provider(reply=reply, script=pause, latency_s=0.05) as provider:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{front.port}/api")
        running = Stopped(tmp_path, *job(provider, "flow", "evaluate"), "--name=troubled")
        assert pause.reached.wait(PATIENCE_S)
        front.trouble = 503
        wait_for(lambda: bool(front.refused))  # the requests that publish the run's progress
        pause.over = True
        wait_for(lambda: stored_once(tmp_path) == EPISODES)
        front.trouble = None
        done = running.wait()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["episodes"]["scored"] == EPISODES
    (run,) = [run for run in prefect.runs("evaluate") if run.name == "evaluate-troubled"]
    assert run.state_type.value == "COMPLETED"


@pytest.mark.slow
@pytest.mark.integration
def test_what_a_server_answers_with_500_is_asked_again(prefect: PrefectServer) -> None:
    """Requests that get a 500 are retried, as Prefect does for a 503; else a finished run would end with that error."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_RETRY_EXTRA_CODES, temporary_settings

    environment: dict[str, str] = {}
    set_environment_defaults(read_settings(environment), environment)
    codes = environment["PREFECT_CLIENT_RETRY_EXTRA_CODES"]
    with Front(prefect.port) as front, ThreadPoolExecutor() as threads:
        front.trouble = 500
        url = f"http://127.0.0.1:{front.port}/api"
        with (
            temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_RETRY_EXTRA_CODES: codes}),
            get_client(sync_client=True) as client,
        ):
            context = copy_context()
            asked = threads.submit(context.run, client.read_flows)
            wait_for(lambda: bool(front.refused))
            front.trouble = None
            assert isinstance(asked.result(PATIENCE_S), list)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, r"the Prefect server was lost .* what was finished is stored"),
        (503, r"the Prefect server was lost .* what was finished is stored"),
        (401, r"the Prefect server refused .*401.* Set PREFECT_API_AUTH_STRING"),
        (422, r"the Prefect server refused .*422.* `muses doctor` compares the server's version"),
    ],
)
def test_a_server_that_stays_in_trouble_or_refuses_is_told_so(status: int, said: str) -> None:
    from muses_eval.flows.prefect_flows.server import translate_server_errors
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with Front(behind=1) as front:
        front.trouble = status
        settings = {PREFECT_API_URL: f"http://127.0.0.1:{front.port}/api", PREFECT_CLIENT_MAX_RETRIES: 0}
        with (
            temporary_settings(settings),
            pytest.raises(MusesError, match=said),
            translate_server_errors(),
            get_client(sync_client=True) as client,
        ):
            client.read_flows()


# --- cancelling ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.integration
def test_cancelling_in_prefect_keeps_what_is_finished_and_the_run_resumes(
    deploy: Deploy, prefect: PrefectServer, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    """A cancelled flow stops its Ray workers, which first store their finished episodes; a later run plays the rest."""
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        config = {
            "name": "cancelled",
            "max_unusable": 1,
            "models": [{"model": "openai:it's a model", "base_url": provider.base_url}],
            "families": ["queue"],
            "dataset": f"generated:{EPISODES}",
            "execution": {"executor": "ray", "workers": 1, "shard_size": SHARD},
        }
        (tmp_path / "night.yaml").write_text(yaml.safe_dump(config))
        pool = f"cancels-{tmp_path.name[-8:]}".lower()
        file = file_of(tmp_path, pool)
        deploy("night.yaml", "--prefect-file", str(file))
        with prefect.worker(pool):
            run = prefect.run_deployment("evaluate/cancelled")
            assert stall.reached.wait(PATIENCE_S), prefect.worker_log
            prefect.cancel(run)
            assert prefect.wait_for_end(run).type.value == "CANCELLED", prefect.worker_log
            assert not is_locked(tmp_path)  # it ended by itself; after 30 s Prefect would kill it
            finished = stored_once(tmp_path)
            assert 0 < finished <= ANSWERED
            assert finished % SHARD  # unfinished shards were stored with their finished episodes
            stall.over = True
            before = len(provider.completions)
            state = prefect.wait_for_end(prefect.run_deployment("evaluate/cancelled"))
        assert state.type.value == "COMPLETED", state
        assert len(provider.completions) - before == EPISODES - finished
    assert stored_once(tmp_path) == EPISODES
    assert scores(tmp_path) == undisturbed


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.parametrize("end", ["cancelled", "killed"])
def test_a_night_that_is_ended_in_the_middle_goes_on(
    muses: Muses, deploy: Deploy, prefect: PrefectServer, tmp_path: Path, end: str
) -> None:
    """The night keeps its canary and its finished episodes, and belongs to the day for which it was scheduled."""
    stall, canary, due = Stall(), 6, datetime.now(UTC) - timedelta(days=1)
    with Provider(reply=reply, script=stall, latency_s=0.05) as provider:
        config = {
            "name": "late",
            "max_unusable": 1,
            "models": [{"model": "openai:m", "base_url": provider.base_url}],
            "families": ["queue"],
            "dataset": f"generated:{EPISODES}",
            "nightly": {"name": f"late-{end}", "canary": canary, "cron": "0 1 * * *"},
            "execution": {"shard_size": SHARD},
        }
        (tmp_path / "night.yaml").write_text(yaml.safe_dump(config))
        pool = f"late-{tmp_path.name[-8:]}".lower()
        file = file_of(tmp_path, pool)
        deploy("night.yaml", "--prefect-file", str(file))
        with prefect.worker(pool):
            run = prefect.run_deployment(f"nightly/late-{end}", due)
            assert stall.reached.wait(PATIENCE_S), prefect.worker_log
            if end == "cancelled":
                prefect.cancel(run)
            else:
                os.kill(process_of(prefect, run), signal.SIGKILL)
            ended = prefect.wait_for_end(run)
            finished = stored_once(tmp_path)
            stall.over = True
            before = len(provider.completions)
            state = prefect.wait_for_end(prefect.run_deployment(f"nightly/late-{end}", due))
        assert ended.type.value == {"cancelled": "CANCELLED", "killed": "CRASHED"}[end]
        assert state.type.value == "COMPLETED", state
        assert canary < finished < EPISODES
        assert len(provider.completions) - before == EPISODES + canary - finished
    assert stored_once(tmp_path) == EPISODES + canary
    (night,) = json.loads(muses("flow", "status", f"--name=late-{end}", "--json").stdout)["nights"]
    assert (night["run_id"], night["state"]) == (f"late-{end}-{due:%Y-%m-%d}", "sealed")
    assert night["coverage"] == 1.0


def test_a_signal_that_a_callback_swallows_still_ends_the_flow() -> None:
    from muses_eval.flows.prefect_flows.time_limits import flow_time_limit
    from prefect.exceptions import TerminationSignal

    def callback() -> None:
        raise TerminationSignal(signal.SIGTERM)

    async def body() -> None:
        async with flow_time_limit(None):
            asyncio.get_running_loop().call_soon(callback)
            await asyncio.sleep(PATIENCE_S)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(body())
