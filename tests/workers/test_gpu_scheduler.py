"""Models that take turns on GPUs: the order of events, with a fleet and an executor that only record them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.plan.gpu_waves import ServerKey, needed_gpus, pack_waves, server_key
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.executor import OnStart, ignore_start
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import Unavailable
from muses_eval.workers.vllm.gpu_scheduler import GpuScheduler

from tests.workers.test_play_shard import spec as shard_spec

A, B, C = (ModelSpec(name, "vllm", name, engine=EngineSpec()) for name in "abc")
LARGE = ModelSpec("large", "vllm", "large", engine=EngineSpec(tensor_parallel=9))
ELSEWHERE = ModelSpec("elsewhere", "openai", "elsewhere")
Shards = Mapping[ModelSpec, int]


@dataclass
class BookFleet:
    """A fleet on *gpus* GPUs; a model in *broken* does not start, and neither do the models that start with it."""

    events: list[str]
    gpus: int
    broken: Sequence[str] = ()
    unknown: Sequence[str] = ()
    """Names of models that have no vLLM."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Gate that must be open before any model starts."""
    up: dict[ServerKey, ModelSpec] = field(default_factory=dict)

    async def start(self, models: Iterable[ModelSpec]) -> None:
        started = {server_key(model): model for model in models if server_key(model) not in self.up}
        names = [model.name for model in started.values()]
        await self.gate.wait()
        if set(names) & set(self.broken):
            raise ConfigError(f"{' '.join(names)} does not start")
        for model in started.values():
            pack_waves([model], self.gpus)
        self.up |= started
        assert needed_gpus(self.up.values()) <= self.gpus
        self.events += [f"up {' '.join(names)}"] if names else []

    async def stop(self, models: Iterable[ModelSpec]) -> None:
        names = [self.up.pop(server_key(model)).name for model in list(models)]
        await asyncio.sleep(0.01)
        self.events += [f"down {' '.join(names)}"] if names else []

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]:
        return [list(wave.models) for wave in pack_waves(models, self.gpus - needed_gpus(self.up.values()))]

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        names = [model.name for model in models]
        if set(names) & set(self.unknown):
            raise ConfigError(f"{' '.join(names)} has no vLLM")
        return {name: {"vllm": "1"} for name in names}


@dataclass
class BookExecutor:
    fleet: BookFleet

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        on_start()
        await asyncio.sleep(0.001)
        assert spec.model.provider != "vllm" or server_key(spec.model) in self.fleet.up
        self.fleet.events.append(f"{spec.model.name}{spec.number}")
        return ShardSummary(f"{spec.model.name}{spec.number}", {"scored": 1}, {}, None)

    async def probe(self, spec: ModelSpec) -> Unavailable | None:
        return Unavailable(f"asked {spec.name}", lasting=False)

    async def snapshot(self) -> LimitsSnapshot:
        return LimitsSnapshot()

    @property
    def dashboard_url(self) -> None:
        return None


@dataclass
class Stage:
    """A scheduler with its recorded events."""

    folder: Path
    fleet: BookFleet
    executor: GpuScheduler

    @classmethod
    def on(cls, folder: Path, gpus: int, **fleet: Any) -> "Stage":
        servers = BookFleet([], gpus, **fleet)
        servers.gate.set()
        return cls(folder, servers, GpuScheduler(BookExecutor(servers), servers))

    @property
    def events(self) -> list[str]:
        return self.fleet.events

    async def play(self, run_id: str, shards: Shards, unplayed: Shards | None = None) -> list[ShardSummary]:
        """Plays a run whose shards are all submitted at once; the *unplayed* ones are only expected."""
        expected = Counter({model: count for model, count in shards.items() if model.engine}) + Counter(unplayed or {})
        whole = shard_spec(self.folder)
        with self.executor.expecting(run_id, expected):
            return await asyncio.gather(
                *(
                    self.executor.run(replace(whole, run_id=run_id, model=model, number=number))
                    for model, count in shards.items()
                    for number in range(count)
                )
            )


def outcomes(summaries: Iterable[ShardSummary]) -> list[tuple[dict[Any, int], list[str]]]:
    return [(dict(each.outcomes), [text for _, text in each.problems]) for each in summaries]


PLAYED: tuple[dict[Any, int], list[str]] = ({"scored": 1}, [])


def run(job: Any) -> Any:
    return asyncio.run(asyncio.wait_for(job, 30))


def test_a_wave_is_played_before_the_next_one_is_up(tmp_path: Path) -> None:
    async def job() -> None:
        stage = Stage.on(tmp_path, 2)
        async with stage.executor:
            results = await stage.play("r", {C: 2, A: 1, B: 2, ELSEWHERE: 1})
        assert [summary.key for summary in results] == ["c0", "c1", "a0", "b0", "b1", "elsewhere0"]
        events = [event for event in stage.events if event != "elsewhere0"]
        assert (events[0], sorted(events[1:4]), events[4:]) == (
            "up c a",
            ["a0", "c0", "c1"],
            ["down c a", "up b", "b0", "b1"],
        )

    run(job())


def test_models_of_others_wait_for_nobody(tmp_path: Path) -> None:
    """Models on external endpoints are played before the first servers are up."""

    async def job() -> None:
        stage = Stage.on(tmp_path, 1)
        stage.fleet.gate.clear()
        async with stage.executor:
            served = asyncio.create_task(stage.play("one", {A: 1}))
            assert outcomes(await stage.play("two", {ELSEWHERE: 2})) == [PLAYED] * 2
            assert await stage.executor.admit([B]) == {"b": {"vllm": "1"}}
            assert not served.done()
            stage.fleet.gate.set()
            assert outcomes(await served) == [PLAYED]

    run(job())


def test_runs_share_the_servers_of_a_model(tmp_path: Path) -> None:
    """Concurrent and consecutive runs share servers, whatever their sampling: on one GPU, each model starts once."""
    warmer = replace(A, sampling=Sampling(temperature=1.0))

    async def job() -> None:
        stage = Stage.on(tmp_path, 1)
        async with stage.executor:
            await asyncio.gather(stage.play("one", {A: 3, B: 1}), stage.play("two", {warmer: 3, B: 2}))
            await stage.play("three", {B: 1})
        changes = [event for event in stage.events if event.startswith(("up", "down"))]
        assert changes == ["up a", "down a", "up b"]
        assert len(stage.events) == len(changes) + 10

    run(job())


def test_who_comes_while_servers_leave_waits_for_the_next_time(tmp_path: Path) -> None:
    async def job() -> None:
        stage = Stage.on(tmp_path, 1)
        async with stage.executor:
            first = asyncio.create_task(stage.play("one", {A: 1, B: 1}))
            while server_key(A) not in stage.fleet.up:  # noqa: ASYNC110 - the fleet sends no event
                await asyncio.sleep(0)
            while server_key(A) in stage.fleet.up:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)
            assert outcomes(await stage.play("two", {A: 1})) == [PLAYED]
            assert outcomes(await first) == [PLAYED] * 2
        assert stage.events == ["up a", "a0", "down a", "up b", "b0", "down b", "up a", "a0"]

    run(job())


def test_what_a_run_leaves_unplayed_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def job() -> None:
        stage = Stage.on(tmp_path, 1)
        async with stage.executor:
            waiting = asyncio.create_task(stage.play("two", {B: 1}))
            await stage.play("one", {A: 1}, unplayed={A: 5})
            assert outcomes(await waiting) == [PLAYED]

    run(job())


def test_shards_that_come_again_bring_their_model_back(tmp_path: Path) -> None:
    """When a failed cell is retried after its model has been stopped, the model is started again."""

    async def job() -> None:
        stage = Stage.on(tmp_path, 1)
        again = replace(shard_spec(tmp_path), run_id="r", model=A, number=7)
        async with stage.executor:
            with stage.executor.expecting("r", {A: 1, B: 1}):
                for model in (A, B):
                    await stage.executor.run(replace(again, model=model))
                await stage.executor.run(again)
        assert stage.events == ["up a", "a7", "down a", "up b", "b7", "down b", "up a", "a7"]

    run(job())


@pytest.mark.parametrize("gpus", [1, 3])
def test_a_model_that_does_not_start_is_left_out(tmp_path: Path, gpus: int) -> None:
    """The shards of a model that does not start report the cause; all other models are played."""

    async def job() -> None:
        stage = Stage.on(tmp_path, gpus, broken="b")
        async with stage.executor:
            found = outcomes(await stage.play("r", {A: 1, B: 2, C: 1, ELSEWHERE: 1}))
            assert await stage.executor.probe(B) == Unavailable("b does not start", lasting=True, kind="server")
        assert found == [PLAYED, ({}, ["b does not start"]), ({}, ["b does not start"]), PLAYED, PLAYED]

    run(job())


def test_who_can_never_be_served_is_known_before_anything_is_played(tmp_path: Path) -> None:
    advice = "the cluster has 4: lower replicas or tensor_parallel, or add GPUs"

    async def job() -> None:
        stage = Stage.on(tmp_path, 4, unknown="b")
        async with stage.executor:
            assert await stage.executor.admit([A, B, LARGE]) == {"a": {"vllm": "1"}, "large": {"vllm": "1"}}
            troubles = [await stage.executor.probe(model) for model in (A, B, LARGE, ELSEWHERE)]
            assert [str(trouble) for trouble in troubles[1:]] == [
                "b has no vLLM",
                f"model 'large': one replica of 9 GPUs each need 9 GPUs; {advice}",
                "asked elsewhere",
            ]
            assert troubles[0] is None
            assert outcomes(await stage.play("r", {A: 1, B: 1})) == [PLAYED, ({}, ["b has no vLLM"])]

    run(job())


def test_gpus_that_are_taken_meanwhile_say_so(tmp_path: Path) -> None:
    """A model that no longer fits into any wave is left out; the others are played."""

    async def job() -> None:
        stage = Stage.on(tmp_path, 9)
        async with stage.executor:
            await stage.executor.admit([LARGE, A])
            stage.fleet.gpus = 1
            large, small = outcomes(await stage.play("r", {LARGE: 1, A: 1}))
        assert "9 GPUs" in large[1][0]
        assert small == PLAYED

    run(job())


def test_what_is_kept_is_up_beside_all_waves(tmp_path: Path) -> None:
    """The model of a simulated user stays up during all waves; the same model as an agent needs no turn."""

    async def job() -> None:
        stage = Stage.on(tmp_path, 2)
        async with stage.executor:
            for _ in range(2):
                await stage.executor.keep_running([C])
            await stage.play("r", {A: 1, B: 1, C: 1})
            assert str(await stage.executor.probe(C)) == "asked c"
        assert [event for event in stage.events if event != "c0"] == ["up c", "up a", "a0", "down a", "up b", "b0"]

    run(job())


def test_a_defect_of_the_fleet_is_heard_by_all_who_wait(tmp_path: Path) -> None:
    async def job() -> None:
        stage = Stage.on(tmp_path, 1)

        async def stop(models: Iterable[ModelSpec]) -> None:
            raise RuntimeError(f"the cluster is gone {len(list(models))}")

        stage.fleet.stop = stop  # type: ignore[method-assign]
        async with stage.executor:
            assert outcomes(await stage.play("r", {A: 1, B: 1})) == [({}, ["the cluster is gone 0"])] * 2

    run(job())


def test_a_run_may_be_left_while_a_wave_comes_up(tmp_path: Path) -> None:
    async def job() -> None:
        stage, before = Stage.on(tmp_path, 1), asyncio.all_tasks()
        stage.fleet.gate.clear()
        async with stage.executor:
            with stage.executor.expecting("r", {A: 1}):
                await asyncio.sleep(0)
                assert asyncio.all_tasks() > before
        assert asyncio.all_tasks() == before
        assert stage.events == []

    run(job())
