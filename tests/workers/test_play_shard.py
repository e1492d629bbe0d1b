"""A shard is stored once, with a correct record of every episode, whatever the provider does."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from muses_eval.pipeline import families
from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import CALL_CHARS, Event
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.pipeline.errors import ModelFailure, MusesError
from muses_eval.pipeline.plan.plan import RunRequest, make_plan
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import ObjectInfo, ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_index, read_shard
from muses_eval.workers.budget import BudgetClient, BudgetSpec, Cost, CostHistory, ReservationReply, WorkerReport
from muses_eval.workers.coordinator.coordinator import LocalCoordinator
from muses_eval.workers.limits import LimitsClient
from muses_eval.workers.play.play_shard import play_shard
from muses_eval.workers.play.shard_episode import ShardModels
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.providers.model import EpisodeRequest, ModelAgent
from muses_eval.workers.providers.open_model import open_model

from tests.provider import (
    Provider,
    Response,
    as_json,
    completion,
    cut_off,
    failed,
    garbage,
    html,
    rate_limited,
    refused,
    reset,
    slow,
)
from tests.workers.reply_agent import ReplyAgent

TINY = generate_dataset("6", 0, ("queue", "access"))
ORACLE = ModelSpec("scripted/oracle", "scripted", "oracle")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def api(provider: Provider, **endpoint: Any) -> ModelSpec:
    return ModelSpec("m", "openai", "m", endpoint=Endpoint((provider.base_url,), **{"max_retries": 0, **endpoint}))


def spec(
    store: Path, model: ModelSpec = ORACLE, family: str = "queue", dataset: Dataset = TINY, attempt: int = 1
) -> ShardSpec:
    """Returns all scenarios of a family as one shard."""
    plan = make_plan(RunRequest("run", (model,), (family,)), dataset, 1_000)
    return ShardSpec(
        run_id=plan.run_id,
        store=str(store),
        dataset=plan.dataset,
        dataset_version=plan.dataset_version,
        users=UsersSpec(),
        model=model,
        family=family,
        number=0,
        attempt=attempt,
        episodes=plan.cells[0].shards[0].episodes,
        scenarios=dataset.by_family[family],
    )


async def play(shard: ShardSpec, store: ObjectStore | None = None) -> ShardSummary:
    model = open_model(shard.model, {}, LimitsClient())
    try:
        return await play_shard(shard, ShardModels(model, None), store or open_store(shard.store))
    finally:
        await model.close()


def stored(shard: ShardSpec) -> list[Episode]:
    return read_shard(open_store(shard.store), shard.key)


def outcome(shard: ShardSpec) -> list[Episode]:
    asyncio.run(play(shard))
    return stored(shard)


def first_of(shard: ShardSpec, count: int) -> ShardSpec:
    return replace(shard, episodes=shard.episodes[:count])


class CountingStore:
    """A folder that counts its writes, and can run a function before a write."""

    def __init__(self, root: Path, before_write: Callable[[], None] = lambda: None) -> None:
        self._store, self._before = FolderStore(root), before_write
        self.written: list[str] = []

    @property
    def url(self) -> str:
        return self._store.url

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._before()
        self.written.append(key)
        return self._store.put_if_absent(key, data)

    def get(self, key: str) -> bytes:
        return self._store.get(key)

    def list(self, prefix: str) -> "Iterable[ObjectInfo]":
        return self._store.list(prefix)

    def uri(self, key: str) -> str:
        return self._store.uri(key)

    def check(self) -> None:
        self._store.check()


# Idempotence


def test_one_object_a_shard_written_once(tmp_path: Path) -> None:
    store, shard = CountingStore(tmp_path), spec(tmp_path, family="access")
    summary = asyncio.run(play(shard, store))  # type: ignore[arg-type]
    assert store.written == [str(shard.key)] == [summary.key]
    assert [e.episode_id for e in stored(shard)] == [plan.id for plan in shard.episodes]
    assert summary == ShardSummary.of(shard.key, stored(shard))
    assert summary.outcomes == {"scored": 6}
    assert all(e.scores and e.shard == 0 and e.attempt == 1 for e in stored(shard))


def test_two_workers_play_the_same_shard_at_the_same_time(tmp_path: Path) -> None:
    """Two workers on one shard store one object; both report its content, and not what the second played itself."""
    said = cycle(['{"accepted_instructions": []}', "nonsense"])
    with Provider(reply=lambda _: next(said)) as provider:
        shard = spec(tmp_path, api(provider))

        async def both() -> list[ShardSummary]:
            return await asyncio.gather(play(shard), play(shard))

        first, second = asyncio.run(both())
        assert len(provider.completions) == 12
    assert first == second == ShardSummary.of(shard.key, stored(shard))
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_who_comes_late_tells_what_is_stored(tmp_path: Path) -> None:
    """A worker that finds the shard stored reports the stored outcomes, not its own."""
    with Provider(script=[*repeat(completion("{}"), 6), *repeat(failed(500), 6)]) as provider:
        shard = spec(tmp_path, api(provider))
        assert asyncio.run(play(shard)).outcomes == {"scored": 6}
        assert asyncio.run(play(shard)).outcomes == {"scored": 6}
        assert len(provider.completions) == 12
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_what_a_twin_scored_alone_is_not_lost(tmp_path: Path) -> None:
    """Executions of one shard that score different episodes lose none: every episode is stored as scored, once."""

    class Lost(ReplyAgent):
        async def reply(self, observation: Observation) -> Reply:
            raise ModelFailure("server", "gone")

    class Choosy(ReplyAgent):
        """A model that answers in some episodes and fails in the others."""

        def __init__(self, *wanted: int) -> None:
            self._wanted = {shard.episodes[index].scenario_id for index in wanted}

        def agent(self, request: EpisodeRequest) -> "Choosy | Lost":
            return self if request.scenario.id in self._wanted else Lost()

        async def reply(self, observation: Observation) -> Reply:
            return Reply("{}")

        async def probe(self) -> None: ...

        async def close(self) -> None: ...

    shard = spec(tmp_path)
    store = open_store(shard.store)

    def scored(*wanted: int) -> int:
        return asyncio.run(play_shard(shard, ShardModels(Choosy(*wanted), None), store)).outcomes["scored"]

    assert [scored(0, 1), scored(), scored(1, 2, 3), scored(), scored(0, 1, 2, 3, 4, 5)] == [2, 2, 4, 2, 6]
    attempts = [stored(replace(shard, attempt=number)) for number in (1, 2, 3)]
    assert [[e.attempt for e in episodes] for episodes in attempts] == [[1] * 6, [2] * 2, [3] * 2]
    ids = [e.episode_id for episodes in attempts for e in episodes if e.outcome == "scored"]
    assert sorted(ids) == sorted(plan.id for plan in shard.episodes)
    assert len(list(tmp_path.rglob("*.parquet"))) == 3


def test_a_twin_that_was_stopped_early_is_completed(tmp_path: Path) -> None:
    """When the stored object holds a part of the shard, the rest is stored beside it, failures included."""
    asyncio.run(play(first_of(spec(tmp_path), 2)))
    with Provider(script=repeat(failed(500))) as provider:
        shard = replace(spec(tmp_path), model=replace(api(provider), name=ORACLE.name))
        assert asyncio.run(play(shard)).outcomes == {"scored": 2, "infra_failed": 4}
    rest = stored(replace(shard, attempt=2))
    assert [e.episode_id for e in rest] == [plan.id for plan in shard.episodes[2:]]


def test_the_same_shard_gives_the_same_scores(tmp_path: Path) -> None:
    """Deterministic models give identical rows, apart from times."""
    shards = [spec(tmp_path / str(i), ModelSpec("r", "scripted", "random"), "access") for i in range(2)]

    first, second = ([replace(e, started_at=EPOCH, seconds=0.0) for e in outcome(shard)] for shard in shards)
    assert first == second


# Cancellation


def test_what_is_finished_is_stored_when_a_shard_is_stopped(tmp_path: Path) -> None:
    """Only finished episodes are stored; after the next attempt, no episode is stored twice."""

    class Stuck(ReplyAgent):
        """A model that answers the first three episodes and never the others."""

        def __init__(self) -> None:
            self.asked = 0
            self.all_asked = asyncio.Event()

        def agent(self, request: EpisodeRequest) -> "Stuck":
            return self

        async def reply(self, observation: Observation) -> Reply:
            self.asked += 1
            if self.asked == 6:
                self.all_asked.set()
            if self.asked > 3:
                await asyncio.Event().wait()
            return Reply("{}")

        async def probe(self) -> None: ...

        async def close(self) -> None: ...

    shard = spec(tmp_path, replace(ORACLE, name="stuck"))
    store = open_store(shard.store)

    async def interrupted() -> None:
        model = Stuck()
        playing = asyncio.create_task(play_shard(shard, ShardModels(model, None), store))
        await model.all_asked.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing

    asyncio.run(interrupted())
    finished = [e.episode_id for e in stored(shard)]
    assert finished == [plan.id for plan in shard.episodes[:3]]

    index = read_index(store, shard.run_id)
    pending = tuple(plan for plan in shard.episodes if plan.id not in index.scored)
    attempt = index.next_attempt(shard.model.slug, shard.family, shard.number)
    assert (len(pending), attempt) == (3, 2)
    again = replace(shard, episodes=pending, attempt=attempt)
    asyncio.run(play(again))
    everything = finished + [e.episode_id for e in stored(again)]
    assert sorted(everything) == sorted(plan.id for plan in shard.episodes)


def test_a_shard_that_is_stopped_before_anything_is_finished_writes_nothing(tmp_path: Path) -> None:
    with Provider(latency_s=60.0) as provider:
        shard = spec(tmp_path, api(provider))

        async def interrupted() -> None:
            playing = asyncio.create_task(play(shard))
            while not provider.completions:  # noqa: ASYNC110 - another thread changes it
                await asyncio.sleep(0)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing

        asyncio.run(interrupted())
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_shard_that_is_stopped_while_it_is_written_is_written(tmp_path: Path) -> None:
    """A finished shard is stored completely, however often its worker was cancelled."""
    begun, go_on = threading.Event(), threading.Event()

    def before_write() -> None:
        begun.set()
        go_on.wait(60)

    shard = spec(tmp_path)
    store = CountingStore(tmp_path, before_write)

    async def interrupted() -> None:
        playing = asyncio.create_task(play(shard, store))  # type: ignore[arg-type]
        await asyncio.to_thread(begun.wait, 60)
        for _ in range(2):
            playing.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
        assert not playing.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await playing
        assert len(stored(shard)) == 6

    asyncio.run(interrupted())


# Credentials


def test_no_credential_is_stored(tmp_path: Path) -> None:
    """Messages and errors are stored with masked credentials; scores refer to the original text."""
    key = "ghp_" + "a1B2" * 10
    with Provider(reply=lambda _: f"{{}} {key}", script=[None, None, refused(404, f"no {key}")]) as provider:
        shard = first_of(spec(tmp_path, api(provider)), 3)
        summary = asyncio.run(play(shard))
    episodes = stored(shard)
    assert Counter(e.outcome for e in episodes) == {"scored": 2, "infra_failed": 1}
    assert key not in repr(episodes)
    assert key not in repr(summary)
    assert all("credential_masked" in e.flags for e in episodes)
    assert all(e.messages[-1].content == "{} [credential]" for e in episodes if e.scores)


def test_what_holds_no_credential_is_stored_as_it_is(tmp_path: Path) -> None:
    with Provider(reply=lambda _: "{} sk-") as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider)), 1))
    assert "credential_masked" not in episode.flags


# Defects of the pipeline


class Broken:
    """The queue family with one method that raises for one scenario."""

    def __init__(self, method: str, victim: str) -> None:
        self._method, self._victim = method, victim

    def __getattr__(self, name: str) -> Any:
        sound = getattr(families.FAMILIES["queue"], name)
        if name != self._method:
            return sound

        def breaks(scenario: Scenario[Any], *rest: Any) -> Any:
            if scenario.id == self._victim:
                raise ZeroDivisionError("a defect of ours")
            return sound(scenario, *rest)

        return breaks


@pytest.mark.parametrize("method", ["score", "interpret", "scripted_agent", "scripted_user"])
def test_a_defect_costs_one_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """A defect is recorded as an internal error and never as a score; all other episodes are scored."""
    shard = spec(tmp_path)
    victim = shard.episodes[2]
    monkeypatch.setitem(families.FAMILIES, "toy", Broken(method, victim.scenario_id))  # type: ignore[arg-type]
    episodes = outcome(replace(shard, family="toy"))
    assert Counter(e.outcome for e in episodes) == {"scored": 5, "infra_failed": 1}
    (broken,) = [e for e in episodes if e.outcome == "infra_failed"]
    assert (broken.episode_id, broken.error_kind) == (victim.id, "internal")
    assert broken.error == "ZeroDivisionError: a defect of ours"
    assert broken.scores == ()


def test_an_internal_error_is_recorded_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that quotes a whole reply is recorded in one line."""

    class Wordy(Broken):
        def __getattr__(self, name: str) -> Any:
            def breaks(*_: Any) -> Any:
                raise ValueError("bad\n\ttext \ud800 " * 10_000)

            return breaks if name == "score" else super().__getattr__(name)

    monkeypatch.setitem(families.FAMILIES, "toy", Wordy("", ""))  # type: ignore[arg-type]
    (episode,) = outcome(replace(first_of(spec(tmp_path), 1), family="toy"))
    assert episode.error
    assert episode.error.startswith("ValueError: bad text \ufffd bad text")
    assert len(episode.error) == 300


@pytest.mark.parametrize(("method", "messages"), [("score", True), ("interpret", False)])
def test_a_defect_does_not_hide_what_was_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, messages: bool
) -> None:
    """Calls made before a defect are recorded with their tokens; when a scorer fails, the transcript is kept too."""
    with Provider(reply=lambda _: "{}") as provider:
        shard = first_of(spec(tmp_path, api(provider)), 1)
        broken = Broken(method, shard.episodes[0].scenario_id)
        monkeypatch.setitem(families.FAMILIES, "toy", broken)  # type: ignore[arg-type]
        (episode,) = outcome(replace(shard, family="toy"))
    assert episode.outcome == "infra_failed"
    assert len(episode.calls) == 1
    assert episode.prompt_tokens == episode.calls[0].prompt_tokens
    assert episode.prompt_tokens
    assert bool(episode.messages) == messages


# Providers that fail


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failed(500), "server"),
        (failed(503), "server"),
        (html(), "server"),
        (garbage(), "server"),
        (as_json({"choices": []}), "server"),
        (rate_limited(), "rate_limit"),
        (refused(401, "bad key"), "auth"),
        (refused(404, "no such model"), "internal"),
        (slow(60.0), "timeout"),
        (cut_off(), "transport"),
        (reset(), "transport"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.status}-{value.ending}",
)
def test_an_endpoint_that_fails_is_never_a_score(tmp_path: Path, answer: Response, kind: str) -> None:
    """A failed episode has an error kind, its transcript and no scores; other episodes are not affected."""
    with Provider(reply=lambda _: "{}", script=[answer]) as provider:
        shard = first_of(spec(tmp_path, api(provider, timeout_s=3.0 if kind == "timeout" else 60.0)), 3)
        episodes = outcome(shard)
    assert Counter(e.outcome for e in episodes) == {"infra_failed": 1, "scored": 2}
    (lost,) = [e for e in episodes if e.outcome != "scored"]
    assert lost.error_kind == kind
    assert lost.error
    assert (lost.scores, lost.turns, lost.flags, lost.calls) == ((), 0, (), ())
    assert lost.cost_usd is None
    assert {m.turn for m in lost.messages} == {0, 1}
    assert all(e.scores and e.error is None and e.error_kind is None for e in episodes if e is not lost)


def test_a_failure_in_the_middle_keeps_the_beginning(tmp_path: Path) -> None:
    """The answered calls are counted, and the turns are those that were played."""
    refusal = '{"target": "all", "content": "No."}'
    with Provider(reply=lambda _: refusal, script=[None, None, failed(500)]) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), "access"), 1))
    assert (episode.outcome, episode.turns, len(episode.calls)) == ("infra_failed", 2, 2)
    assert max(m.turn for m in episode.messages) == 3
    assert episode.prompt_tokens == sum(call.prompt_tokens or 0 for call in episode.calls) > 0
    assert episode.scores == ()


def test_a_summary_counts_problems_by_their_text(tmp_path: Path) -> None:
    with Provider(reply=lambda _: "{}", script=[failed(500), failed(500), refused(404, "no such model")]) as provider:
        summary = asyncio.run(play(spec(tmp_path, api(provider))))
    assert summary.outcomes == {"infra_failed": 3, "scored": 3}
    assert sorted(summary.problems.values()) == [1, 2]
    assert {kind for kind, _ in summary.problems} == {"server", "internal"}
    assert summary.cost_usd is None


# Arbitrary replies of the agent

LOOK_UP = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": '{"who": "Bo"}'}}
LONG = "a" * CALL_CHARS + "… (7 more characters)"


@pytest.mark.parametrize(
    ("answer", "flags"),
    [
        (completion("I would rather talk about the weather."), ("unparsed",)),
        (completion(""), ("unparsed", "empty")),
        (completion(None), ("unparsed", "empty")),
        (completion(" \n\u200b"), ("unparsed", "empty")),
        (completion("<think>Bo must not know.</think>\n"), ("unparsed", "empty")),
        (completion(None, reasoning_content="Bo must not know."), ("unparsed", "empty")),
        (completion(None, "tool_calls", tool_calls=[LOOK_UP]), ("unparsed", "empty")),
        (completion("<think>Bo must", "length"), ("unparsed", "empty", "length")),
        (completion("x" * 2**20), ("unparsed",)),
        (completion("[" * 2**9), ("unparsed",)),
        (completion('{"accepted_instructions": ["11'), ("unparsed",)),
        (completion("\ud800 \x00 \x1b[2J"), ("unparsed",)),
        (completion('{"accepted_instructions": ["\ud800"]}'), ()),
        (completion('{"accepted_instructions": []}'), ()),
        (completion('{"accepted_instructions": []}', "length"), ("length",)),
        (completion('{"accepted', "length"), ("unparsed", "length")),
        (completion("", "content_filter"), ("unparsed", "content_filter")),
        (refused(400, "blocked", "content_filter"), ("unparsed", "content_filter")),
        (refused(400, "too long", "context_length_exceeded"), ("unparsed", "context_overflow")),
        (completion(None, refusal="I cannot help with that."), ("unparsed",)),
        (completion(["two ", {"type": "text", "text": "parts"}]), ("unparsed",)),
    ],
    ids=[
        "prose",
        "empty",
        "null",
        "blanks",
        "tagged-reasoning",
        "reasoning",
        "tool-calls",
        "cut-reasoning",
        "megabyte",
        "brackets",
        "broken",
        "surrogate",
        "surrogate-in-json",
        "good",
        "length-good",
        "length-broken",
        "filtered",
        "refused-filter",
        "overflow",
        "refusal",
        "parts",
    ],
)
@pytest.mark.parametrize("family", ["queue", "access"])
def test_whatever_the_agent_says_is_scored(
    tmp_path: Path, family: str, answer: Response, flags: tuple[str, ...]
) -> None:
    """Every reply is scored and flagged with the errors that the agent caused; it is stored and read back unchanged."""
    with Provider(script=repeat(answer)) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), family), 1))
    assert (episode.outcome, episode.error, episode.error_kind) == ("scored", None, None)
    assert {score.scoring for score in episode.scores} == {"published", "corrected"}
    assert all(0.0 <= score.value <= 1.0 for score in episode.scores)
    assert set(episode.flags) - {"unparsed"} == set(flags) - {"unparsed"}
    if family == "queue":
        assert episode.flags == flags
    assert episode.unusable is not None
    assert episode.unusable.total == (episode.turns if episode.flags else 0)


@pytest.mark.parametrize(
    ("answer", "events"),
    [
        (completion("Yes.", reasoning_content="Bo asks."), (Event(1, 1, "reasoning", "Bo asks."),)),
        (
            completion(None, "tool_calls", tool_calls=[LOOK_UP]),
            (Event(1, 1, "call", '[tool call] look_up({"who": "Bo"})'),),
        ),
        (completion("", reasoning="a" * (CALL_CHARS + 7)), (Event(1, 1, "reasoning", LONG),)),
    ],
)
def test_what_a_model_says_beside_its_text_is_stored(
    tmp_path: Path, answer: Response, events: tuple[Event, ...]
) -> None:
    """Reasoning and calls of tools are in the trace of a model without an agent, also when it is read by SQL."""
    with Provider(script=repeat(answer)) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), "queue"), 1))
    assert episode.events == events


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (completion("asdf"), UnusableReplies(unreadable=1)),
        (completion(None), UnusableReplies(empty=1)),
        (completion("", "length"), UnusableReplies(truncated=1)),
        (completion('{"accepted_instructions": []}', "length"), UnusableReplies(truncated=1)),
        (completion("", "content_filter"), UnusableReplies(filtered=1)),
        (refused(400, "too long", "context_length_exceeded"), UnusableReplies(overflowed=1)),
        (completion('{"accepted_instructions": []}'), UnusableReplies()),
    ],
)
def test_a_reply_counts_by_its_first_cause(tmp_path: Path, answer: Response, counted: UnusableReplies) -> None:
    """Each unusable reply counts once: a reply that was cut off is truncated, whether or not it can be read."""
    with Provider(script=repeat(answer)) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), "queue"), 1))
    assert episode.unusable == counted


# Tokens and cost


@pytest.mark.parametrize(("reply", "error"), [("", 1.0), (" ", 0.0)])
def test_an_empty_reply_through_an_api_is_a_row_error(tmp_path: Path, reply: str, error: float) -> None:
    """The published scoring takes an empty reply of an API for a failed call, as the released code does."""
    with Provider(reply=lambda _: reply) as provider:
        episodes = outcome(spec(tmp_path, api(provider)))
    for episode in episodes:
        values = {score.metric: score.value for score in episode.scores if score.scoring == "published"}
        assert (episode.outcome, values["row_error"], values["accuracy"] == 0.0) == ("scored", error, bool(error))


def test_tokens_are_summed_and_the_price_is_not_known(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    refusal = completion('{"target": "all", "content": "No."}', usage=usage)
    with Provider(script=repeat(refusal)) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), "access"), 1))
    assert len(episode.calls) == episode.turns == 10
    assert (episode.prompt_tokens, episode.completion_tokens, episode.cost_usd) == (70, 30, None)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 7}, {"prompt_tokens": "many", "completion_tokens": -1}])
def test_tokens_that_one_call_does_not_report_are_unknown(tmp_path: Path, usage: Mapping[str, object] | None) -> None:
    """When one call reports no tokens the sum is unknown, since a partial sum would be wrong."""
    good = completion('{"target": "all", "content": "No."}', usage={"prompt_tokens": 7, "completion_tokens": 3})
    silent = completion('{"target": "all", "content": "No."}', usage=usage)
    with Provider(script=[good, silent, *repeat(good, 8)]) as provider:
        (episode,) = outcome(first_of(spec(tmp_path, api(provider), "access"), 1))
    assert episode.completion_tokens is None
    assert episode.prompt_tokens == (70 if usage and usage.get("prompt_tokens") == 7 else None)


def test_built_in_agents_cost_nothing(tmp_path: Path) -> None:
    summary = asyncio.run(play(spec(tmp_path, ORACLE, "access")))
    assert summary.cost_usd == 0.0
    assert {(e.prompt_tokens, e.completion_tokens, e.cost_usd) for e in stored(spec(tmp_path, ORACLE, "access"))} == {
        (0, 0, 0.0)
    }


# Random numbers


def test_users_draw_the_same_random_numbers_for_every_model(tmp_path: Path) -> None:
    """For one epoch, simulated users send the same messages to any two models with the same replies; epochs differ."""
    refusal = '{"target": "all", "content": "No."}'
    with Provider(reply=lambda _: refusal) as provider:
        shards = [
            spec(tmp_path, replace(api(provider), name=name, model=name), "access") for name in ("first", "second")
        ]
        heard = [[m.content for e in outcome(shard) for m in e.messages if m.sender != "agent"] for shard in shards]
        assert heard[0] == heard[1]
        plan = make_plan(RunRequest("run", (shards[0].model,), ("access",), epochs=2), TINY, 1_000)
        later = replace(shards[0], number=1, episodes=plan.cells[0].shards[0].episodes[1::2])
        assert [m.content for e in outcome(later) for m in e.messages if m.sender != "agent"] != heard[0]


def test_an_episode_does_not_depend_on_its_company(tmp_path: Path) -> None:
    """An episode has the same messages and scores alone or among others."""
    shard = spec(tmp_path, ModelSpec("r", "scripted", "random"), "access")
    among = outcome(shard)[4]
    (alone,) = outcome(replace(shard, number=1, episodes=shard.episodes[4:5]))
    assert (alone.messages, alone.scores) == (among.messages, among.scores)


def test_what_was_finished_before_the_budget_was_out_of_reach_is_stored(tmp_path: Path) -> None:
    class Lost(LocalCoordinator):
        asked = 0

        async def update_budget(self, budget: BudgetSpec, report: WorkerReport) -> ReservationReply:
            self.asked += 1
            if self.asked > 1:
                raise MusesError("gone")
            return await super().update_budget(budget, report)

    async def lose(shard: ShardSpec) -> None:
        shard = replace(shard, learned=CostHistory(Cost(tokens=1_000.0), Cost(tokens=1_000.0)))
        budget = BudgetClient(Lost(), BudgetSpec("run", Budget(tokens=3_500)), "a")
        with pytest.raises(MusesError, match="gone"):
            await play_shard(shard, ShardModels(open_model(shard.model, {}), None), open_store(shard.store), budget)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    usage = {"prompt_tokens": 900, "completion_tokens": 100}
    with Provider(script=repeat(completion("{}", usage=usage))) as provider:
        shard = spec(tmp_path, replace(api(provider), prices=Prices(1.0, 1.0)))
        asyncio.run(lose(shard))
    stored = read_shard(open_store(shard.store), shard.key)
    assert stored
    assert {episode.outcome for episode in stored} == {"scored"}


class Noting:
    """A built-in agent that records the session of each call."""

    def __init__(self) -> None:
        self._model = open_model(ORACLE, {})
        self.sessions: list[str] = []

    def agent(self, request: EpisodeRequest) -> ModelAgent:
        self.sessions.append(request.session)
        return self._model.agent(request)

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


def test_an_episode_is_a_session_and_so_is_each_of_its_users(tmp_path: Path) -> None:
    """Each episode and each simulated user is a session: its calls share a prompt prefix and go to the same server."""
    shard, agent, users = first_of(spec(tmp_path, family="access"), 2), Noting(), Noting()
    asyncio.run(play_shard(shard, ShardModels(agent, users), open_store(shard.store)))
    assert sorted(agent.sessions) == sorted(plan.id for plan in shard.episodes)
    names = [f"{plan.id} {name}" for plan in shard.episodes for name in shard.scenarios[plan.scenario_id].names]
    assert sorted(users.sessions) == sorted(names)
