"""The executor in this process: a bounded number of concurrent shards, and an orderly end."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_index, read_shard
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.play.shard_spec import ShardSpec

from tests.provider import Provider
from tests.workers.test_play_shard import ORACLE, api, spec


def shards(whole: ShardSpec) -> list[ShardSpec]:
    """Returns the same episodes with one episode per shard."""
    return [replace(whole, number=n, episodes=(episode,)) for n, episode in enumerate(whole.episodes)]


@pytest.mark.parametrize("room", [1, 2, 4])
def test_so_many_shards_at_once_and_no_more(tmp_path: Path, room: int) -> None:
    """The provider sees exactly the allowed number of concurrent calls."""
    with Provider(reply=lambda _: "{}", latency_s=0.02, meet=room) as provider:
        all_shards = shards(spec(tmp_path, api(provider)))

        async def job() -> None:
            async with InlineExecutor(room) as executor:
                await asyncio.gather(*(executor.run(shard) for shard in all_shards))

        asyncio.run(job())
        assert provider.peak == room
        assert len(provider.completions) == len(all_shards) == 6
    assert len(read_index(open_store(str(tmp_path)), all_shards[0].run_id).scored) == 6


def test_a_shard_is_begun_when_there_is_room(tmp_path: Path) -> None:
    """A shard starts when the previous one has been played."""
    events: list[str] = []

    async def job() -> None:
        async with InlineExecutor(1) as executor:

            async def play(shard: ShardSpec) -> None:
                await executor.run(shard, lambda: events.append(f"started {shard.number}"))
                events.append(f"played {shard.number}")

            await asyncio.gather(*map(play, shards(spec(tmp_path, ORACLE))))

    asyncio.run(job())
    assert events == [f"{what} {number}" for number in range(6) for what in ("started", "played")]


def test_leaving_ends_what_runs_and_keeps_what_is_finished(tmp_path: Path) -> None:
    """When the executor is left, finished episodes are stored, and waiting shards never start."""
    with Provider(reply=lambda _: "{}") as quick, Provider(latency_s=600.0) as never:
        finished = spec(tmp_path, api(quick))
        hanging = shards(spec(tmp_path, replace(api(never), name="never")))

        async def job() -> None:
            async with InlineExecutor(2) as executor:
                await executor.run(finished)
                tasks = [asyncio.create_task(executor.run(shard)) for shard in hanging]
                while len(never.completions) < 2:  # noqa: ASYNC110 - another thread changes it
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
            assert all(task.cancelled() for task in tasks)

        asyncio.run(job())
        assert len(never.completions) == 2
    assert len(read_shard(open_store(str(tmp_path)), finished.key)) == 6
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_an_executor_can_be_left_while_shards_are_played(tmp_path: Path) -> None:
    """Closing the executor stops its running shards, and every waiting call raises."""
    with Provider(latency_s=600.0) as never:
        shard = spec(tmp_path, api(never))

        async def job() -> None:
            async with InlineExecutor(1) as executor:
                waiting = asyncio.create_task(executor.run(shard))
                while not never.completions:  # noqa: ASYNC110 - another thread changes it
                    await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await waiting

        asyncio.run(job())


def test_a_mistake_in_the_config_is_raised_as_it_is(tmp_path: Path) -> None:
    with Provider() as provider:
        shard = spec(tmp_path, api(provider, api_key_env="UNSET_KEY"))

        async def job() -> None:
            async with InlineExecutor(1) as executor:
                assert "UNSET_KEY" in str(await executor.probe(shard.model))
                assert await executor.probe(ORACLE) is None
                await executor.run(shard)

        with pytest.raises(ConfigError, match="UNSET_KEY"):
            asyncio.run(job())
