"""A fleet on real Ray and real processes, with stand-ins for vLLM and for GPUs: whatever process is killed, the run
continues, and no process is left behind.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import ray
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.errors import ConfigError, ModelFailure
from muses_eval.workers.vllm import server_discovery
from muses_eval.workers.vllm.autoscaler import ScalingRules
from muses_eval.workers.vllm.fleet import VllmFleet
from muses_eval.workers.vllm.health_check import HealthCheckRules
from muses_eval.workers.vllm.replica import ReplicaSettings, RestartBackoff
from muses_eval.workers.vllm.replica_set_spec import FleetSettings, replica_set_name
from muses_eval.workers.vllm.server_discovery import ServerDiscovery

from tests.stand_in_vllm import alive, stand_in, until

ROOT = Path(__file__).parents[2]
SETTINGS = FleetSettings(
    ReplicaSettings(
        HealthCheckRules(startup_timeout_s=30, interval_s=0.05, timeout_s=2.0), RestartBackoff(first_s=0.05)
    ),
    ScalingRules(busy_requests=4, busy_s=0, idle_s=0),
)
GPUS = 4


def test_models_that_differ_in_sampling_share_their_servers() -> None:
    spec = ModelSpec("a", "vllm", "m", engine=EngineSpec())
    assert replica_set_name(spec) == replica_set_name(replace(spec, name="b", sampling=Sampling(temperature=1.0)))
    assert replica_set_name(spec) != replica_set_name(replace(spec, engine=EngineSpec(tensor_parallel=2)))
    assert replica_set_name(spec) != replica_set_name(replace(spec, model="n"))


# On a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    temp_dir = Path(tempfile.mkdtemp(prefix="muses-"))
    quiet = {"include_dashboard": False, "log_to_driver": False, "_temp_dir": str(temp_dir / "ray")}
    ray.init("local", num_cpus=2, num_gpus=GPUS, **quiet)
    try:
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(temp_dir, ignore_errors=True)


@dataclass
class Seen:
    """All server processes that a test has observed."""

    pids: set[int] = field(default_factory=set)

    def facts(self, url: str) -> dict:
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/facts") as answer:
            found = json.load(answer)
        self.pids |= set(found["pids"])
        return found


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Yields the observed processes; afterwards no process is left and no GPU is held."""
    books = Seen()
    yield books
    until(lambda: not any(map(alive, books.pids)))
    if ray.is_initialized():
        until(lambda: ray.available_resources().get("GPU") == GPUS)


@contextmanager
def serving(
    *specs: ModelSpec, replica: ReplicaSettings = SETTINGS.replica
) -> Iterator[tuple[VllmFleet, asyncio.Runner]]:
    with asyncio.Runner() as loop:
        fleet = VllmFleet(replace(SETTINGS, replica=replica))
        try:
            loop.run(fleet.start(specs))
            yield fleet, loop
        finally:
            loop.run(fleet.stop())


def gpu_model(folder: Path, name: str = "m", replicas: tuple[int, int] = (1, 1), **more: object) -> ModelSpec:
    engine = EngineSpec(replicas, args=json.dumps(more.pop("args", {})), python=stand_in(folder, "vllm"), **more)
    return ModelSpec(name, "vllm", name, engine=engine)


def ask(loop: asyncio.Runner, spec: ModelSpec) -> tuple[str, ...]:
    """Resolves the addresses of a model, as a new worker does."""
    return tuple(loop.run(ServerDiscovery(spec).resolve()))


@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_a_fleet_serves_and_frees(tmp_path: Path, seen: Seen) -> None:
    """Every replica has its own GPUs while it serves; afterwards, the GPUs are free for the next models."""
    two = gpu_model(tmp_path, "two", (2, 2), args={"max_model_len": 64})
    wide = gpu_model(tmp_path, "wide", tensor_parallel=2)
    with serving(two, wide, replace(two, name="again", sampling=Sampling(seed=1))) as (fleet, loop):
        here = [seen.facts(url) for spec in (two, wide) for url in ask(loop, spec)]
        assert [facts["model"] for facts in here] == ["two", "two", "wide"]
        held = [facts["gpus"].split(",") for facts in here]
        assert [len(gpus) for gpus in held] == [1, 1, 2]
        assert len({gpu for gpus in held for gpu in gpus}) == GPUS
        assert not any(facts["rays"] for facts in here)
        assert len(ask(loop, two)) == 2
        described = loop.run(fleet.describe([wide]))["wide"]
        assert (described["vllm"], described["build"], described["gpus_per_replica"]) == ("0.0.1", "gpu", 2)
        assert described["arguments"][:2] == ["--model", "wide"]
        assert "--tensor-parallel-size" in described["arguments"]
        assert ask(loop, two)
        loop.run(fleet.stop([wide]))
        with pytest.raises(ModelFailure, match="server: wide: the fleet no longer serves this model"):
            ask(loop, wide)
        assert len(ask(loop, two)) == 2
    later = gpu_model(tmp_path, "later", tensor_parallel=4)
    with serving(later) as (_, loop):
        assert seen.facts(*ask(loop, later))["model"] == "later"


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_servers_come_back_whatever_process_is_killed(tmp_path: Path, seen: Seen) -> None:
    """The servers return after kill -9 of a server, of the actor that owns one, or of the actor that manages all."""
    spec = gpu_model(tmp_path, replicas=(2, 2))
    with serving(spec) as (_, loop):

        def both() -> set[int]:
            try:
                pids = {seen.facts(url)["pids"][0] for url in ask(loop, spec)}
            except OSError:  # the address of a server that has just been killed
                return set()
            return pids if len(pids) == 2 else set()

        before = both()
        victims = ([min(before)], actor_pids("ReplicaActor"), actor_pids("ReplicaSet"))
        for victim, *_ in victims:
            os.kill(victim, signal.SIGKILL)
            before = until(lambda before=before: (now := both()) != before and now)


def actor_pids(kind: str) -> list[int]:
    from ray._private.state import actors

    return [
        actor["Pid"] for actor in actors().values() if actor["State"] == "ALIVE" and actor["ActorClassName"] == kind
    ]


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster", "seen")
def test_a_server_that_does_not_start_is_the_configs_fault(tmp_path: Path) -> None:
    """The message shows the server's own error, and nothing of the fleet stays."""
    spec = gpu_model(tmp_path, args={"mishap": "no start"})
    with pytest.raises(ConfigError) as error, serving(spec):
        pass
    text = str(error.value)
    assert text.startswith("vllm:m does not start: the server ended; the last lines of ")
    assert "\n  ValueError: the KV cache has no room\n" in text
    assert "RuntimeError: the engine did not start" in text
    assert "ray" not in text.lower()


@pytest.mark.integration
@pytest.mark.usefixtures("cluster", "seen")
def test_what_cannot_be_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"5 GPUs on one machine.*has 1 machine with 4 GPUs"):
        serving(gpu_model(tmp_path, tensor_parallel=5)).__enter__()
    missing = ModelSpec("m", "vllm", "m", engine=EngineSpec(python="/nowhere/python"))
    with pytest.raises(ConfigError, match=r"engine\.python: cannot run /nowhere/python"):
        serving(missing).__enter__()
    with pytest.raises(ConfigError, match=r"engine\.args: port is not set there"):
        serving(gpu_model(tmp_path, args={"port": 1})).__enter__()


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster", "seen")
def test_gpus_that_others_hold_are_not_waited_for_without_end(tmp_path: Path) -> None:
    class Holder:
        pass

    holder = ray.remote(num_cpus=0, num_gpus=GPUS)(Holder).remote()
    ray.get(holder.__ray_ready__.remote())
    try:
        with pytest.raises(
            ConfigError, match=r"vllm:m does not start: no machine had 1 GPU free within 1 s; others of"
        ):
            serving(gpu_model(tmp_path), replica=ReplicaSettings(HealthCheckRules(startup_timeout_s=1.0))).__enter__()
    finally:
        ray.kill(holder)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_a_cpu_build_takes_cores_and_no_gpu(tmp_path: Path, seen: Seen) -> None:
    engine = EngineSpec((2, 2), python=stand_in(tmp_path))
    spec = ModelSpec("m", "vllm", "m", engine=engine)
    with serving(spec) as (fleet, loop):
        cores = [seen.facts(url)["cores"].split(",") for url in ask(loop, spec)]
        assert sorted(core for one in cores for core in one) == sorted(map(str, os.sched_getaffinity(0)))
        assert ray.available_resources()["GPU"] == GPUS
        assert loop.run(fleet.waves([spec])) == []


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_models_take_turns_on_the_gpus_that_are_left(tmp_path: Path, seen: Seen) -> None:
    """Simulated users keep their GPUs; models on CPUs and models with the same servers need no turn of their own."""
    users, large, small = (
        gpu_model(tmp_path, name, tensor_parallel=gpus) for name, gpus in (("u", 1), ("l", 3), ("s", 2))
    )
    alike = replace(large, name="alike", sampling=Sampling(seed=1))
    on_cpu = ModelSpec("cpu", "vllm", "cpu", engine=EngineSpec(python=stand_in(tmp_path)))
    with serving(users) as (fleet, loop):
        seen.facts(*ask(loop, users))
        assert loop.run(fleet.waves([small, large, on_cpu, alike, users])) == [[on_cpu, large, alike], [small]]
        with pytest.raises(ConfigError, match=r"need 4 GPUs; the cluster has 3"):
            loop.run(fleet.waves([replace(large, engine=replace(large.engine, tensor_parallel=4))]))


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_load_brings_a_replica_and_quiet_takes_it_away(tmp_path: Path, seen: Seen) -> None:
    spec = gpu_model(tmp_path, replicas=(1, 2))
    with serving(spec) as (_, loop):
        (first,) = ask(loop, spec)
        seen.facts(first)
        busy(first, 5)
        _, second = until(lambda: len(urls := ask(loop, spec)) == 2 and urls)
        seen.facts(second)
        busy(first, 0)
        until(lambda: ask(loop, spec) == (first,))


def busy(url: str, requests: int) -> None:
    target = f"{url.removesuffix('/v1')}/busy/{requests}"
    urllib.request.urlopen(urllib.request.Request(target, method="POST")).close()


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.usefixtures("cluster")
def test_a_call_waits_while_no_server_is_up(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout a call raises a retryable failure; later calls in the same outage fail at once."""
    spec = gpu_model(tmp_path)
    with serving(spec, replica=replace(SETTINGS.replica, backoff=RestartBackoff(first_s=3.0))) as (_, loop):
        (before,) = ask(loop, spec)
        worker = ServerDiscovery(spec)
        os.kill(seen.facts(before)["pids"][0], signal.SIGKILL)
        monkeypatch.setattr(server_discovery, "_CACHE_S", 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(server_discovery, "RESOLVE_TIMEOUT_S", 0.0)
            assert until(lambda: failure_of(loop, worker)).retryable
        known = failure_of(loop, worker)  # the server would return if the call waited
        assert "for more than 600 s none of its servers has been up" in str(known)
        (after,) = ask(loop, spec)
        assert failure_of(loop, worker) is None
        seen.facts(after)
        assert after != before


def failure_of(loop: asyncio.Runner, worker: ServerDiscovery) -> ModelFailure | None:
    try:
        loop.run(worker.resolve())
    except ModelFailure as failure:
        return failure
    return None


_DRIVER = """
import asyncio, sys, ray
sys.path.insert(0, {root!r})
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.workers.vllm.fleet import VllmFleet
from muses_eval.workers.vllm.server_discovery import ServerDiscovery
ray.init("local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False, _temp_dir={temp!r})
async def job():
    spec = ModelSpec("m", "vllm", "m", engine=EngineSpec(python={python!r}))
    fleet = VllmFleet()
    await fleet.start([spec])
    print(*await ServerDiscovery(spec).resolve(), flush=True)
    await asyncio.sleep(600)
asyncio.run(job())
"""


@pytest.mark.slow
@pytest.mark.integration
def test_a_killed_driver_leaves_nothing(tmp_path: Path, seen: Seen) -> None:
    temp = tempfile.mkdtemp(prefix="muses-")
    script = _DRIVER.format(root=str(ROOT), temp=f"{temp}/ray", python=stand_in(tmp_path, "vllm"))
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        seen.facts(driver.stdout.readline().strip())
    finally:
        driver.kill()
        driver.wait()
    until(lambda: not any(map(alive, seen.pids)))
    shutil.rmtree(temp, ignore_errors=True)
