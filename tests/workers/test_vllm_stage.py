"""Models that take turns: who plays when, with a fleet and an executor that only keep books."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest

from pipeline.errors import ConfigError
from pipeline.specs import EngineSpec, ModelSpec
from tests.workers.test_shard import spec as shard_spec
from workers.limits import Snapshot
from workers.shard import ShardSpec, ShardSummary
from workers.vllm_stage import StagedExecutor

A, B, C = (ModelSpec(name, "vllm", name, engine=EngineSpec()) for name in "abc")
ELSEWHERE = ModelSpec("elsewhere", "openai", "elsewhere")


@dataclass
class Books:
    """What happened, in its order."""

    events: list[str] = field(default_factory=list)


@dataclass
class BookFleet:
    books: Books
    broken: Sequence[str] = ()

    async def start(self, models: Iterable[ModelSpec]) -> None:
        names = [model.name for model in models]
        await asyncio.sleep(0)
        if set(names) & set(self.broken):
            raise ConfigError(f"{names} do not start")
        self.books.events.append(f"up {' '.join(names)}")

    async def stop(self, models: Iterable[ModelSpec]) -> None:
        self.books.events.append(f"down {' '.join(model.name for model in models)}")


@dataclass
class BookExecutor:
    books: Books

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, spec: ShardSpec) -> ShardSummary:
        await asyncio.sleep(0.001)
        self.books.events.append(f"{spec.model.name}{spec.number}")
        return ShardSummary(f"{spec.model.name}{spec.number}", {}, {}, None)

    async def probe(self, spec: ModelSpec) -> str | None:
        return f"asked {spec.name}"

    async def snapshot(self) -> Snapshot:
        return Snapshot()


def play(
    folder: Path, waves: Sequence[Sequence[ModelSpec]], shards: dict[ModelSpec, int], broken: Sequence[str] = ()
) -> tuple[list[str], list[object]]:
    """Hands in all shards at once; returns what happened, and what came back."""
    books, whole = Books(), shard_spec(folder)

    async def job() -> list[object]:
        ours = {model: count for model, count in shards.items() if model.engine}
        async with StagedExecutor(BookExecutor(books), BookFleet(books, broken), waves, ours) as executor:
            runs = (
                executor.run(replace(whole, model=model, number=number))
                for model, count in shards.items()
                for number in range(count)
            )
            return await asyncio.gather(*runs, return_exceptions=True)

    return books.events, asyncio.run(job())


def test_a_wave_is_played_before_the_next_one_is_up(tmp_path: Path) -> None:
    """Models that others serve wait for nobody."""
    events, results = play(tmp_path, [[A, B], [C]], {C: 2, A: 1, B: 2, ELSEWHERE: 1})
    assert events[0] == "up a b"
    assert sorted(events[1:5]) == ["a0", "b0", "b1", "elsewhere0"]
    assert events[5:] == ["down a b", "up c", "c0", "c1"]
    assert [summary.key for summary in results] == ["c0", "c1", "a0", "b0", "b1", "elsewhere0"]


def test_a_first_wave_that_does_not_start_ends_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="do not start"):
        play(tmp_path, [[A], [B]], {A: 1, B: 1}, broken="a")


def test_a_later_wave_that_does_not_start_is_told_to_those_who_wait(tmp_path: Path) -> None:
    events, results = play(tmp_path, [[A], [B]], {A: 1, B: 2, ELSEWHERE: 1}, broken="b")
    assert sorted(events) == ["a0", "down a", "elsewhere0", "up a"]
    assert [type(result).__name__ for result in results] == [
        "ShardSummary",
        "ConfigError",
        "ConfigError",
        "ShardSummary",
    ]


def test_models_that_take_turns_are_not_asked_before(tmp_path: Path) -> None:
    async def job() -> list[str | None]:
        books = Books()
        async with StagedExecutor(BookExecutor(books), BookFleet(books), [[A], [B]], {A: 1, B: 1}) as executor:
            return [await executor.probe(model) for model in (A, B, ELSEWHERE)]

    assert asyncio.run(job()) == [None, None, "asked elsewhere"]


def test_a_run_may_be_left_while_a_wave_comes_up(tmp_path: Path) -> None:
    books = Books()

    class Slow(BookFleet):
        async def start(self, models: Iterable[ModelSpec]) -> None:
            if A not in (names := list(models)):
                await asyncio.sleep(600)
            await super().start(names)

    async def job() -> None:
        whole = shard_spec(tmp_path)
        async with StagedExecutor(BookExecutor(books), Slow(books), [[A], [B]], {A: 1, B: 1}) as executor:
            await executor.run(replace(whole, model=A))

    asyncio.run(asyncio.wait_for(job(), 30))
    assert books.events in (["up a", "a0"], ["up a", "a0", "down a"])
