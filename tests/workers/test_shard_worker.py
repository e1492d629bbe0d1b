"""A worker keeps connections open, looks up keys, and stores all finished episodes when it is stopped."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_shard
from muses_eval.workers.play.shard_worker import ShardWorker
from muses_eval.workers.providers.model import Unavailable

from tests.provider import Provider, refused
from tests.workers.test_play_shard import ORACLE, api, spec


def test_connections_are_kept_from_shard_to_shard(tmp_path: Path) -> None:
    """Consecutive shards use one connection, and closing twice is harmless."""
    with Provider(reply=lambda _: "{}") as provider:
        whole = spec(tmp_path, api(provider))
        shards = [replace(whole, number=n, episodes=(e,)) for n, e in enumerate(whole.episodes)]

        async def job() -> None:
            worker = ShardWorker({})
            for shard in shards:
                await worker.run(shard)
            await worker.close()
            await worker.close()

        asyncio.run(job())
        assert len(provider.completions) == len(shards)
        assert len({received.client_port for received in provider.completions}) == 1


def test_the_key_comes_from_the_environment_by_name(tmp_path: Path) -> None:
    with Provider(reply=lambda _: "{}") as provider:
        shard = spec(tmp_path, api(provider, api_key_env="OUR_KEY"))

        async def job(environ: dict[str, str]) -> None:
            worker = ShardWorker(environ)
            try:
                await worker.run(shard)
            finally:
                await worker.close()

        with pytest.raises(ConfigError, match="OUR_KEY is unset"):
            asyncio.run(job({"OTHER_KEY": "x"}))
        assert provider.requests == []
        asyncio.run(job({"OUR_KEY": "k-1"}))
        assert {received.authorization for received in provider.completions} == {"Bearer k-1"}


def test_a_probe_says_what_is_wrong() -> None:
    """A probe returns a message and never raises, so one bad model does not hide the others."""

    async def job() -> list[Unavailable | None]:
        with Provider() as good, Provider(models=refused(401, "who are you?")) as locked:
            worker = ShardWorker({})
            try:
                unset = ModelSpec("unset", "openai", "m", endpoint=Endpoint((good.base_url,), "UNSET_KEY"))
                away = ModelSpec("away", "openai", "m", endpoint=Endpoint(("http://127.0.0.1:1/v1",)))
                found = [await worker.probe(model) for model in (ORACLE, api(good), api(locked), unset, away)]
                assert good.completions == []
                return found
            finally:
                await worker.close()

    fine, reached, locked, unset, away = asyncio.run(job())
    assert (fine, reached) == (None, None)
    assert locked is not None
    assert "401" in locked.text
    assert locked.lasting
    assert unset is not None
    assert "UNSET_KEY" in unset.text
    assert unset.lasting
    assert away is not None
    assert "transport: " in away.text
    assert not away.lasting


def test_draining_ends_all_shards_and_keeps_what_is_finished(tmp_path: Path) -> None:
    """Each shard stores its finished episodes, and no shard is running when ``drain`` returns."""
    done = 3
    with Provider(reply=lambda _: "{}") as quick, Provider(latency_s=600.0) as never:
        shard = spec(tmp_path, api(quick))
        stuck = spec(tmp_path, replace(api(never), name="stuck"))

        async def job() -> None:
            worker = ShardWorker({})
            await worker.run(replace(shard, episodes=shard.episodes[:done]))
            waiting = [asyncio.create_task(worker.run(each)) for each in (stuck, replace(stuck, number=7))]
            while len(never.completions) < 2 * len(stuck.episodes):  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0)
            await worker.drain()
            for task in waiting:
                with pytest.raises(asyncio.CancelledError):
                    await task
            await worker.drain()
            await worker.close()

        asyncio.run(job())
    store = open_store(str(tmp_path))
    assert len(read_shard(store, shard.key)) == done
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
