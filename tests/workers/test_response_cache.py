"""Only an identical call gets a cached response, and the trace marks it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ModelFailure, StoreError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.response_cache import CachedModel

from tests.workers.reply_agent import ReplyAgent

SPEC = ModelSpec("m", "openai", "m", Sampling(temperature=1.0), Endpoint(("http://127.0.0.1:1/v1",)))
CALL = Call("agent", "m", 12, 7, 0.5, 2, "stop", cached_tokens=3)
QUEUE = FAMILIES["queue"]
SCENARIO = generate_dataset("1", 0, ("queue",)).scenarios("queue")[0]


class Answers(ReplyAgent):
    """A model that returns the given answers in order, and counts its calls."""

    def __init__(self, *answers: str | ModelFailure, call: Call | None = CALL, delay: int = 0) -> None:
        self._answers: Iterator[str | ModelFailure] = iter(answers)
        self._call, self._delay = call, delay
        self.asked = 0
        self.asked_twice = asyncio.Event()

    def agent(self, request: EpisodeRequest) -> "Answers":
        return self

    async def probe(self) -> None: ...

    async def close(self) -> None: ...

    async def reply(self, observation: Observation) -> Reply:
        self.asked += 1
        if self.asked == 2:
            self.asked_twice.set()
        answer = next(self._answers)
        for _ in range(self._delay):
            await asyncio.sleep(0)
        if isinstance(answer, ModelFailure):
            raise answer
        return Reply(answer, self._call)


def request(number: int = 0) -> EpisodeRequest:
    return EpisodeRequest(QUEUE, SCENARIO, agent_seed=1, seed_offset=number)


def seen(text: str = "hello", role: str = "user") -> Observation:
    return Observation(1, (), (ChatMessage("system", "be brief"), ChatMessage(role, text)))


def ask(model: CachedModel, observation: Observation | None = None, number: int = 0) -> Reply:
    return asyncio.run(model.agent(request(number)).reply(observation or seen()))


def test_the_second_time_nobody_is_asked_and_the_call_says_so(tmp_path: Path) -> None:
    answers = Answers("one", "two")
    first = ask(CachedModel(answers, SPEC, FolderStore(tmp_path)))
    again = ask(CachedModel(answers, SPEC, FolderStore(tmp_path)))  # as in another process
    assert first == Reply("one", CALL)
    assert again == Reply("one", replace(CALL, latency_s=0.0, retries=0, cached=True))
    assert answers.asked == 1


@pytest.mark.parametrize(
    ("spec", "observation", "number"),
    [
        (SPEC, seen("other"), 0),
        (SPEC, seen(role="Alice"), 0),
        (SPEC, seen(), 1),
        (replace(SPEC, model="n"), seen(), 0),
        (replace(SPEC, sampling=Sampling(temperature=0.5)), seen(), 0),
        (replace(SPEC, sampling=Sampling(temperature=1.0, extra_body='{"top_k":1}')), seen(), 0),
        (replace(SPEC, endpoint=Endpoint(("http://127.0.0.1:2/v1",))), seen(), 0),
    ],
    ids=["prompt", "role", "epoch", "model", "temperature", "extra_body", "address"],
)
def test_anything_that_could_change_the_answer_is_another_question(
    tmp_path: Path, spec: ModelSpec, observation: Observation, number: int
) -> None:
    answers = Answers("one", "two")
    ask(CachedModel(answers, SPEC, FolderStore(tmp_path)))
    assert ask(CachedModel(answers, spec, FolderStore(tmp_path)), observation, number).text == "two"


def test_what_changes_no_answer_is_the_same_question(tmp_path: Path) -> None:
    answers = Answers("one", "two")
    ask(CachedModel(answers, SPEC, FolderStore(tmp_path)))
    patient = replace(SPEC, name="n", endpoint=Endpoint(("http://127.0.0.1:1/v1",), "KEY", timeout_s=9.0))
    assert ask(CachedModel(answers, patient, FolderStore(tmp_path))).text == "one"


def test_failures_are_not_kept(tmp_path: Path) -> None:
    answers = Answers(ModelFailure("server", "it broke"), "two")
    model = CachedModel(answers, SPEC, FolderStore(tmp_path))
    with pytest.raises(ModelFailure):
        ask(model)
    assert ask(model).text == "two"


def test_neither_is_what_looks_like_a_credential(tmp_path: Path) -> None:
    secret = "the key is sk-proj-" + "a1B2c3D4" * 6
    answers = Answers(secret, "two")
    model = CachedModel(answers, SPEC, FolderStore(tmp_path))
    assert ask(model).text == secret
    assert ask(model).text == "two"
    assert not any(secret[11:] in path.read_text() for path in tmp_path.rglob("*.json"))


def test_the_same_question_at_the_same_time_is_asked_once(tmp_path: Path) -> None:
    answers = Answers("one", "two", delay=20)
    model = CachedModel(answers, SPEC, FolderStore(tmp_path))

    async def together() -> list[Reply]:
        return await asyncio.gather(*(model.agent(request()).reply(seen()) for _ in range(5)))

    replies = asyncio.run(together())
    assert {reply.text for reply in replies} == {"one"}
    assert sorted(reply.call.cached for reply in replies if reply.call) == [False, True, True, True, True]
    assert answers.asked == 1


def test_when_the_first_who_asks_fails_or_is_cancelled_the_next_one_asks(tmp_path: Path) -> None:
    answers = Answers(ModelFailure("server", "it broke"), "two", "three", delay=20)
    model = CachedModel(answers, SPEC, FolderStore(tmp_path))

    async def together() -> tuple[object, ...]:
        tasks = [asyncio.create_task(model.agent(request()).reply(seen())) for _ in range(3)]
        await answers.asked_twice.wait()
        next(task for task in tasks if not task.done()).cancel()
        return tuple(await asyncio.gather(*tasks, return_exceptions=True))

    kinds = sorted(type(result).__name__ for result in asyncio.run(together()))
    assert kinds == ["CancelledError", "ModelFailure", "Reply"]
    assert answers.asked == 3


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "list"])
def test_a_damaged_entry_is_asked_again_and_mended(tmp_path: Path, damage: str) -> None:
    answers = Answers("one", "two", "three")
    model = CachedModel(answers, SPEC, FolderStore(tmp_path))
    ask(model)
    (entry,) = tmp_path.rglob("*.json")
    data = entry.read_bytes()
    entry.chmod(0o644)
    entry.write_bytes({"cut": data[:-9], "changed": data.replace(b"one", b"eno"), "empty": b"", "list": b"[1]"}[damage])
    assert ask(model).text == "two"
    assert ask(model).text == "two"
    assert json.loads(entry.read_bytes())["answer"]["text"] == "two"


def test_a_store_in_trouble_costs_no_episode(tmp_path: Path) -> None:
    class Broken(FolderStore):
        def get(self, key: str) -> bytes:
            raise StoreError("out of reach")

        def put_if_absent(self, key: str, data: bytes) -> bool:
            raise StoreError("out of reach")

    model = CachedModel(Answers("one", "two"), SPEC, Broken(tmp_path))
    assert [ask(model).text, ask(model).text] == ["one", "two"]


def test_any_text_survives(tmp_path: Path) -> None:
    text = 'quotes " and \ud800 and \u2028 and \x00'
    model = CachedModel(Answers(text), SPEC, FolderStore(tmp_path))
    assert [ask(model).text, ask(model).text] == [text, text]
