"""A model that failed permanently is not called again, and waiting calls raise its failure."""

import asyncio
from collections import Counter

import pytest
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.workers.providers.fail_fast import FailFastModel
from muses_eval.workers.providers.model import EpisodeRequest

from tests.workers.reply_agent import ReplyAgent

WRONG_KEY = ModelFailure("auth", "m answered HTTP 401: bad key", retryable=False, ends_model=True)
REQUEST = EpisodeRequest(FAMILIES["queue"], generate_dataset("1", 0, ("queue",)).scenarios("queue")[0], 0, 0)
SEEN = Observation(1, (), ())


class Behind(ReplyAgent):
    """A model that admits *at_once* concurrent calls, and whose first call raises *failure*."""

    def __init__(self, failure: ModelFailure, at_once: int = 1) -> None:
        self._failure, self._room = failure, asyncio.Semaphore(at_once)
        self.asked = 0

    def agent(self, request: EpisodeRequest) -> "Behind":
        return self

    async def probe(self) -> None: ...

    async def close(self) -> None: ...

    async def reply(self, observation: Observation) -> Reply:
        async with self._room:
            self.asked += 1
            first = self.asked == 1
            await asyncio.sleep(0)
            if first:
                raise self._failure
            return Reply("fine")


async def ask(model: FailFastModel) -> Reply:
    return await model.agent(REQUEST).reply(SEEN)


def test_a_wrong_key_is_tried_once() -> None:
    behind = Behind(WRONG_KEY)
    model = FailFastModel(behind)
    for _ in range(3):
        with pytest.raises(ModelFailure, match="bad key"):
            asyncio.run(ask(model))
    assert behind.asked == 1


def test_who_waits_for_it_hears_of_it_at_once() -> None:
    async def together() -> tuple[Counter[str], int]:
        behind = Behind(WRONG_KEY)
        model = FailFastModel(behind)
        results = await asyncio.gather(*(ask(model) for _ in range(20)), return_exceptions=True)
        return Counter(str(result) for result in results), behind.asked

    failures, asked = asyncio.run(together())
    assert failures == {str(WRONG_KEY): 20}
    assert asked == 1


def test_who_is_cancelled_by_others_stays_cancelled() -> None:
    async def together() -> list[object]:
        model = FailFastModel(Behind(WRONG_KEY))
        tasks = [asyncio.create_task(ask(model)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    first, second, third = asyncio.run(together())
    assert isinstance(first, ModelFailure)
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(third, ModelFailure)


def test_what_may_pass_is_tried_again() -> None:
    model = FailFastModel(Behind(ModelFailure("server", "it broke")))

    async def twice() -> Reply:
        with pytest.raises(ModelFailure):
            await ask(model)
        return await ask(model)

    assert asyncio.run(twice()).text == "fine"
