"""The Ray executor on real Ray: nothing is lost when workers die, and every error has a message of this project.

A local cluster serves the tests of the pool; a second one, started by ``ray start``, serves the tests of addresses.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import ray
from muses_eval.flows.installation import PACKAGE
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_index, read_shard
from muses_eval.workers.budget import BudgetSpec, Cost, WorkerReport
from muses_eval.workers.coordinator.ray_actor import RayCoordinator
from muses_eval.workers.limits import AccountStatus, LeaseHolder
from muses_eval.workers.limits.protocol import CoordinatorUnavailableError
from muses_eval.workers.play import ray_executor as ray_pool
from muses_eval.workers.play.ray_executor import RayExecutor, RaySettings, cluster_cpus
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayTaskError, RuntimeEnvSetupError

from tests.provider import Provider, slow, storm
from tests.s3_server import free_ports
from tests.workers.test_play_shard import ORACLE, api, spec
from tests.workers.test_python_agents import PASSING, PLAIN, with_agent

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


# Addresses (first, while this process has no cluster yet)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens(scheme: str) -> None:
    """The address is refused before Ray is called, which would try for minutes and then end the process."""
    address = f"{scheme}127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ConfigError, match=f"no Ray cluster at {address}: .*refused; start one with `ray start --head`"):
        cluster_cpus(RaySettings(address=address))


@pytest.mark.parametrize(
    ("address", "problem"),
    [("nonsense", "Invalid address"), ("host.invalid:6379", "not known|resolution")],
)
def test_an_address_that_is_none(address: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"no Ray cluster at {address}: .*({problem})"):
        cluster_cpus(RaySettings(address=address))


# A pool on a local cluster


@pytest.fixture(scope="module")
def short_folder() -> Iterator[Path]:
    """Returns a folder for Ray's sockets, whose paths have a limited length."""
    folder = Path(tempfile.mkdtemp(prefix="muses-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Pool:
    """An entered executor with its event loop."""

    executor: RayExecutor
    loop: asyncio.Runner

    def play(self, *shards: ShardSpec) -> list[ShardSummary]:
        async def job() -> list[ShardSummary]:
            return await asyncio.gather(*map(self.executor.run, shards))

        return self.loop.run(job())


@pytest.fixture(scope="module")
def pool(short_folder: Path) -> Iterator[Pool]:
    executor = RayExecutor(RaySettings(workers=2, shards_per_worker=2, temp_dir=short_folder / "ray"))
    with asyncio.Runner() as loop:
        loop.run(executor.__aenter__())
        try:
            yield Pool(executor, loop)
        finally:
            loop.run(executor.__aexit__(None, None, None))


def shards_of(whole: ShardSpec, size: int) -> list[ShardSpec]:
    starts = range(0, len(whole.episodes), size)
    return [replace(whole, number=n, episodes=whole.episodes[s : s + size]) for n, s in enumerate(starts)]


def test_a_plan_is_played(pool: Pool, tmp_path: Path) -> None:
    """Summaries are returned in the order of the shards, and the traces are in the store."""
    shards = shards_of(spec(tmp_path, family="access"), 2)
    summaries = pool.play(*shards)
    store = open_store(str(tmp_path))
    assert summaries == [ShardSummary.of(shard.key, read_shard(store, shard.key)) for shard in shards]
    assert sum(summary.outcomes["scored"] for summary in summaries) == 6


def test_a_shard_that_is_cancelled_stores_what_is_finished(pool: Pool, tmp_path: Path) -> None:
    """The worker is cancelled too, although no call waits for the shard any more."""
    with Provider(script=chain([None, None], storm(1000, slow(600.0)))) as provider:
        shard = spec(tmp_path, limited(provider, 1))  # so that the third call starts after the second answer

        async def job() -> None:
            playing = asyncio.create_task(pool.executor.run(shard))
            while len(provider.completions) < 3:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.05)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing

        pool.loop.run(job())
        store = open_store(str(tmp_path))
        assert len(read_shard(store, shard.key)) == 2


class Slow:
    """A coordinator that delays its answers."""

    async def renew(self, *_: object) -> str:
        await asyncio.sleep(1.0)
        return "renewed"

    async def update_budget(self, *_: object) -> str:
        await asyncio.sleep(1.0)
        return "settled"


class Cancelling:
    """An actor handle whose first call is cancelled, as Ray does with the calls of a cancelled shard."""

    def __init__(self, actor: Any) -> None:
        self._actor, self._method, self._cancels = actor, "", 1

    def __getattr__(self, name: str) -> "Cancelling":
        self._method = name
        return self

    def remote(self, *arguments: object) -> Any:
        call = getattr(self._actor, self._method).remote(*arguments)
        if self._cancels:
            self._cancels -= 1
            ray.cancel(call)
        return call


def test_a_question_to_the_coordinator_that_ray_cancels_fails_no_episode(pool: Pool) -> None:
    """Other episodes of the worker wait for the same answer, so the call is repeated."""
    actor = ray.remote(num_cpus=0)(Slow).remote()

    async def ask() -> None:
        coordinator = RayCoordinator(Cancelling(actor))
        with pytest.raises(CoordinatorUnavailableError):
            await coordinator.renew(LeaseHolder("run", "worker"), {})
        assert str(await coordinator.renew(LeaseHolder("run", "worker"), {})) == "renewed"
        coordinator = RayCoordinator(Cancelling(actor))
        assert (
            str(await coordinator.update_budget(BudgetSpec("run", Budget(tokens=1)), WorkerReport("worker", Cost())))
            == "settled"
        )

    pool.loop.run(ask())


def test_ray_and_inline_play_the_same_episodes(pool: Pool, tmp_path: Path) -> None:
    from tests.workers.test_play_shard import EPOCH, outcome

    chance = ModelSpec("r", "scripted", "random")
    here, there = spec(tmp_path / "here", chance, "access"), spec(tmp_path / "there", chance, "access")
    pool.play(there)
    stored = read_shard(open_store(there.store), there.key)
    timeless = [[replace(e, started_at=EPOCH, seconds=0.0) for e in episodes] for episodes in (outcome(here), stored)]
    assert timeless[0] == timeless[1]


@pytest.mark.slow
def test_killed_workers_lose_nothing(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All workers are killed by process id during the run; every episode is stored exactly once.

    A shard loses one attempt per death, however long the worker takes to restart.
    """
    monkeypatch.setattr(ray_pool, "SHARD_TRIES", 2)
    with Provider(reply=lambda _: "{}", script=storm(3, slow(600.0))) as provider:
        shards = shards_of(spec(tmp_path, api(provider)), 1)
        before = worker_pids()

        async def job() -> list[ShardSummary]:
            playing = asyncio.gather(*map(pool.executor.run, shards))
            while len(provider.completions) < 3:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.01)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            return await playing

        summaries = pool.loop.run(job())
        assert len(provider.completions) > len(shards)  # some were started twice
    assert [summary.outcomes for summary in summaries] == [{"scored": 1}] * len(shards)
    assert len(before) == 2
    assert not set(worker_pids()) & set(before)
    store = open_store(str(tmp_path))
    ids = [episode.episode_id for shard in shards for episode in read_shard(store, shard.key)]
    assert sorted(ids) == sorted(read_index(store, shards[0].run_id).scored)
    assert len(set(ids)) == len(ids) == len(shards)


@pytest.mark.slow
def test_killed_workers_lose_no_episode_that_an_agent_holds(pool: Pool, tmp_path: Path) -> None:
    """Workers are killed while agents wait for their model; each episode is stored once, with each call once."""
    with Provider(reply=lambda _: "{}", script=storm(4, slow(600.0))) as provider:
        alone = shards_of(spec(tmp_path, api(provider), "access"), 1)
        shards = [with_agent(shard, (PASSING, PLAIN)[number % 2]) for number, shard in enumerate(alone)]

        async def job() -> list[ShardSummary]:
            playing = asyncio.gather(*map(pool.executor.run, shards))
            while len(provider.completions) < 4:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.01)
            for pid in worker_pids():
                os.kill(pid, signal.SIGKILL)
            return await playing

        summaries = pool.loop.run(job())
        assert len(provider.completions) >= len(shards) + 4
    assert [summary.outcomes for summary in summaries] == [{"scored": 1}] * len(shards)
    episodes = [episode for shard in shards for episode in read_shard(open_store(str(tmp_path)), shard.key)]
    ids = sorted(episode.episode_id for episode in episodes)
    assert ids == sorted(read_index(open_store(str(tmp_path)), shards[0].run_id).scored)
    assert ids == sorted({plan.id for shard in shards for plan in shard.episodes})
    assert {episode.model for episode in episodes} == {"m + tried"}
    assert all("agent_error" not in episode.flags for episode in episodes)
    for episode in episodes:
        placed = [(turn, 1) for turn in range(1, episode.turns + 1)]
        assert [(call.turn, call.step) for call in episode.calls if call.role == "agent"] == placed
        assert [(event.turn, event.step) for event in episode.events] == placed


@pytest.mark.slow
def test_a_model_is_looked_for_although_the_worker_died(pool: Pool) -> None:
    """The worker restarts, and the probe is repeated."""
    with Provider() as provider:
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
        assert pool.loop.run(pool.executor.probe(api(provider))) is None


def worker_pids(name: str = "ShardWorker") -> list[int]:
    from ray._private.state import actors

    return [a["Pid"] for a in actors().values() if a["State"] == "ALIVE" and a["ActorClassName"] == name]


# State that workers share


def limited(provider: Provider, most: int) -> ModelSpec:
    model = api(provider)
    assert model.endpoint is not None
    return replace(model, endpoint=replace(model.endpoint, limits=Limits(concurrency=most)))


def test_a_limit_holds_over_all_workers(pool: Pool, tmp_path: Path) -> None:
    """Two workers with a limit of three calls use all three, and never a fourth."""
    with Provider(reply=lambda _: "{}", latency_s=0.5, most_in_flight=3, meet=3) as provider:
        shards = shards_of(spec(tmp_path, limited(provider, 3)), 1)
        summaries = pool.play(*shards)
        assert (provider.peak, provider.refused) == (3, 0)
    assert [summary.outcomes for summary in summaries] == [{"scored": 1}] * len(shards)
    status = pool.loop.run(settled(pool.executor, provider))
    assert (status.answered, status.refused, status.waiting) == (len(shards), 0, 0)


async def settled(executor: RayExecutor, provider: Provider) -> AccountStatus:
    """Returns the state of the account once the workers have reported their last call, or after a timeout."""
    for _ in range(200):
        (status,) = [s for s in (await executor.snapshot()).accounts if provider.base_url in s.name]
        if not status.in_flight and status.answered + status.refused == len(provider.completions):
            break
        await asyncio.sleep(0.05)
    return status


@pytest.mark.slow
@pytest.mark.parametrize("name", ["_CoordinatorActor", "ShardWorker"])
def test_a_killed_process_neither_keeps_nor_doubles_a_lease(pool: Pool, tmp_path: Path, name: str) -> None:
    """After the coordinator or a lease holder is killed, all shards are played and the limit is never exceeded."""
    with Provider(reply=lambda _: "{}", latency_s=0.5, most_in_flight=2) as provider:
        shards = shards_of(spec(tmp_path, limited(provider, 2), "access"), 1)[:4]  # longer than a lease

        async def job() -> list[ShardSummary]:
            playing = asyncio.gather(*map(pool.executor.run, shards))
            while len(provider.completions) < 3:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0.01)
            os.kill(worker_pids(name)[0], signal.SIGKILL)
            return await playing

        summaries = pool.loop.run(job())
        assert provider.peak <= 2
        assert provider.refused == 0
    assert [summary.outcomes for summary in summaries] == [{"scored": 1}] * len(shards)


def test_a_workers_complaint_arrives_without_rays_wrapping(pool: Pool, tmp_path: Path) -> None:
    """A missing key is found in the worker; its message reads as in this process."""
    with Provider() as provider:
        keyed = api(provider, api_key_env="UNSET_KEY")
        with pytest.raises(ConfigError) as error:
            pool.play(spec(tmp_path, keyed))
        assert type(error.value) is ConfigError
        assert str(error.value).startswith("model 'm': the environment variable UNSET_KEY is unset")
        assert "ray" not in str(error.value).lower()
        assert "UNSET_KEY" in str(pool.loop.run(pool.executor.probe(keyed)))
        assert pool.loop.run(pool.executor.probe(api(provider))) is None
    assert pool.play(spec(tmp_path, ORACLE))[0].outcomes == {"scored": 6}  # the worker is free again


# Worker failures that only Ray can produce


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an actor's handle, all of whose calls end in *error*."""

    error: Exception | None

    def options(self, **_: object) -> "Method":
        return self

    async def remote(self, *_: object) -> None:
        if self.error:
            raise self.error


@dataclass(frozen=True)
class Handle:
    """The handle of an actor that always restarts, and always fails again."""

    run: Method = Method(None)
    probe: Method = Method(None)
    __ray_ready__: Method = Method(None)


def pool_with(handle: Handle) -> RayExecutor:
    executor = RayExecutor(RaySettings())
    executor._actors = [handle]
    executor._queue.add(handle)
    return executor


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (OutOfMemoryError("no room\nmore"), MusesError, "its worker died 5 times, the last time with: .*no room;"),
        (ObjectLostError("00", None, ""), MusesError, "its worker died 5 times"),
        (RayActorError(), MusesError, "its worker died 5 times"),
        (RuntimeEnvSetupError("no package"), ConfigError, "the Ray workers cannot start: .*"),
        (RayTaskError("run", "trace", ValueError("ours")), RayTaskError, "trace"),
        (RayTaskError("run", "trace", ConfigError("ours")), ConfigError, "^ours$"),
    ],
    ids=["memory", "object", "actor", "environment", "defect", "complaint"],
)
def test_a_worker_is_given_back_however_it_failed(
    tmp_path: Path, error: Exception, raised: type[Exception], message: str
) -> None:
    """A failed worker returns to the pool, which would otherwise run out of workers."""

    async def job() -> None:
        executor = pool_with(Handle(run=Method(error)))
        for _ in range(2):  # the second shard needs the worker of the first
            with pytest.raises(raised, match=message) as caught:
                await asyncio.wait_for(executor.run(spec(tmp_path)), 60)
            assert type(caught.value) is raised

    asyncio.run(job())


@dataclass(frozen=True)
class Recorder:
    """The handle of a worker that records which run and model each shard belongs to."""

    order: list[str] = field(default_factory=list)

    @property
    def run(self) -> "Recorder":
        return self

    async def remote(self, shard: ShardSpec) -> ShardSummary:
        self.order.append(f"{shard.run_id} {shard.model.name}")
        await asyncio.sleep(0)
        return ShardSummary("", {}, {}, None)


def test_a_worker_that_always_dies_is_not_asked_for_ever() -> None:
    with pytest.raises(MusesError, match="the probe of 'm': its worker died 5 times, the last time with: "):
        asyncio.run(pool_with(Handle(probe=Method(RayActorError()))).probe(ModelSpec("m", "openai", "m")))


@pytest.mark.slow
def test_a_long_queue_keeps_no_other_model_or_run_waiting(tmp_path: Path) -> None:
    """A queue of a thousand API shards does not delay the shards of a model on GPUs; the two take turns."""
    whole, worker = spec(tmp_path), Recorder()

    async def job() -> None:
        executor = RayExecutor(RaySettings())
        executor._queue.add(worker)
        long = [replace(whole, run_id="one", model=ModelSpec("api", "openai", "api"))] * 1_000
        late = [replace(whole, run_id=run, model=ModelSpec("gpu", "vllm", "gpu")) for run in ("one", "two")] * 2
        playing = [asyncio.create_task(executor.run(shard)) for shard in long]
        await asyncio.sleep(0)
        await asyncio.gather(*playing, *map(executor.run, late))

    asyncio.run(job())
    assert len(worker.order) == 1_004
    assert sorted(worker.order[1:8]).count("one gpu") == worker.order[1:8].count("two gpu") == 2


@pytest.mark.parametrize("error", [RuntimeEnvSetupError("no package"), RayActorError(actor_init_failed=True)])
def test_workers_that_cannot_start_are_the_clusters_fault(error: Exception) -> None:
    executor = pool_with(Handle(__ray_ready__=Method(error)))
    with pytest.raises(ConfigError, match=r"the Ray workers cannot start: .*every machine of the cluster needs"):
        asyncio.run(executor._wait_for_actors(1))


# Clusters by address


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of two CPUs that another process started."""

    address: str
    environment: dict[str, str]

    def drive(self, settings: dict[str, Any], body: str, code: Path = ROOT) -> Any:
        """Runs *body* in a fresh process, within ``async with RayExecutor(...) as executor``; returns its output."""
        script = (
            "import asyncio, json, pathlib\n"
            "from muses_eval.pipeline.errors import MusesError\n"
            "from muses_eval.pipeline.config.model_spec import ModelSpec\n"
            "from muses_eval.workers.play.ray_executor import RayExecutor, RaySettings\n"
            f"settings = json.loads({json.dumps(settings)!r})\n"
            "settings['code'] = settings.get('code') and pathlib.Path(settings['code'])\n"
            "async def main():\n"
            "    try:\n"
            "        async with RayExecutor(RaySettings(**settings)) as executor:\n"
            f"            {body}\n"
            "    except MusesError as error:\n"
            "        print(json.dumps([type(error).__name__, str(error)]))\n"
            "asyncio.run(main())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=code,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def ray_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster started by ``ray start --head`` with its own token."""
    port = free_ports(1)[0]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += [f"--temp-dir={folder}", "--num-cpus=2", "--include-dashboard=false"]
    process = subprocess.Popen(
        [*command, "--node-ip-address=127.0.0.1", "--disable-usage-stats"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ray runtime started" in line:
                break
        else:
            pytest.fail("".join(said))
        yield Cluster(f"127.0.0.1:{port}", environment)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def cluster(short_folder: Path) -> Iterator[Cluster]:
    with ray_cluster(short_folder / "head") as started:
        yield started


def test_the_code_is_shipped_to_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Workers import the driver's code, not the installed package; what they do not import is not sent."""
    code = tmp_path / "muses_eval"
    shutil.copytree(ROOT / "infra" / "package" / "muses_eval", code, ignore=shutil.ignore_patterns("__pycache__"))
    with (code / "workers" / "play" / "shard_worker.py").open("a") as file:
        file.write(
            "\n\nasync def _look_around(self, spec):\n"
            "    root = __file__.rpartition('/workers/')[0]\n"
            "    return f'{root} ' + ' '.join(sorted(os.listdir(root)))\n\n\n"
            "ShardWorker.probe = _look_around\n"
        )
    body = "print(json.dumps(await executor.probe(ModelSpec('scripted/oracle', 'scripted', 'oracle'))))"
    elsewhere = tmp_path / "elsewhere"  # Ray's workers search the driver's current folder before the shipped code
    elsewhere.mkdir()
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    driver = replace(cluster, environment={**cluster.environment, "PYTHONPATH": path})
    settings = {"address": cluster.address, "workers": 1, "code": str(code)}
    root, *shipped = driver.drive(settings, body, elsewhere).split()
    assert not Path(root).is_relative_to(code)
    assert not Path(root).is_relative_to(ROOT)
    assert {"flows", "dashboards"} & set(shipped) == set()
    assert {"pipeline", "storage", "workers"} <= set(shipped)


@pytest.mark.slow
def test_more_workers_than_a_cluster_has_room_for(cluster: Cluster) -> None:
    """The executor waits, since a cluster may grow; then the message lists the available CPUs."""
    kind, text = cluster.drive({"address": cluster.address, "workers": 3, "start_timeout_s": 1.0}, "pass")
    assert kind == "ConfigError"
    assert text.startswith("3 Ray workers of one CPU each did not start within 1 s; the cluster has 2 CPUs")
    assert text.endswith("request fewer")


@pytest.mark.slow
def test_a_cluster_is_left_as_it_was(cluster: Cluster) -> None:
    """All CPUs of the cluster are free again, even after a start that failed."""
    assert cluster.drive({"address": cluster.address, "workers": 2}, "print(2)") == 2
    assert cluster.drive({"address": cluster.address}, "print(len(executor._actors))") == 2


@pytest.mark.slow
def test_two_runs_on_one_cluster_share_a_limit(cluster: Cluster, tmp_path: Path) -> None:
    """Two runs with their own drivers use the whole limit together and never exceed it."""
    with Provider(reply=lambda _: "{}", latency_s=0.3, most_in_flight=4, meet=4) as provider:
        body = (
            "from tests.workers.test_play_shard import spec; "
            "from muses_eval.pipeline.config.endpoint import Endpoint, Limits; from dataclasses import replace; "
            f"model = ModelSpec('m', 'openai', 'm', endpoint=Endpoint(({provider.base_url!r},), "
            "limits=Limits(concurrency=4))); "
            "summary = await executor.run(spec(pathlib.Path({folder!r}), model, 'access')); "
            "print(json.dumps(summary.outcomes))"
        )

        def drive(folder: str) -> Any:
            (tmp_path / folder).mkdir()
            settings = {"address": cluster.address, "workers": 1, "code": str(PACKAGE)}
            return cluster.drive(settings, body.replace("{folder!r}", repr(str(tmp_path / folder))))

        with ThreadPoolExecutor() as drivers:
            outcomes = list(drivers.map(drive, ("one", "two")))
        assert outcomes == [{"scored": 6}] * 2
        assert (provider.peak, provider.refused) == (4, 0)


@pytest.mark.slow
def test_a_local_cluster_does_not_grow(cluster: Cluster, short_folder: Path) -> None:
    """More workers than CPUs are refused at once, and a running cluster nearby is not used as a local one."""
    settings = {"workers": 10_000, "temp_dir": str(short_folder / "local")}
    nearby = replace(cluster, environment={**cluster.environment, "RAY_ADDRESS": cluster.address})
    kind, text = nearby.drive(settings, "pass")
    assert kind == "ConfigError"
    assert text.startswith("10000 Ray workers of one CPU each cannot start; the cluster has ")
    assert f"has {os.cpu_count()} CPUs" in text
