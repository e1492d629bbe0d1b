"""The content key of a cell changes if and only if something changes that could affect its results."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.episode import dialogue as dialogue_module, user_prompt as users_module
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.access import released as released_access
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.plan import content_key as module
from muses_eval.pipeline.plan.content_key import SCRIPTED_VERSION, content_key
from muses_eval.pipeline.plan.plan import Cell, RunRequest, make_plan
from muses_eval.pipeline.protocols import muses as muses_module
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.workers.providers.scripted import play_scripted

from tests.released import RELEASED, STAND_IN

DATASET = generate_dataset("2", 0, None, None)
MODEL = ModelSpec("m", "openai", "m", Sampling(temperature=1.0), Endpoint(("http://one/v1",)))
USERS = UsersSpec(ModelSpec("u", "openai", "u", endpoint=Endpoint(("http://one/v1",))))


def cells(request: RunRequest, dataset: Dataset = DATASET, shard_size: int = 4) -> list[Cell]:
    return list(make_plan(request, dataset, shard_size).cells)


def key(request: RunRequest, dataset: Dataset = DATASET, shard_size: int = 4) -> str:
    (cell,) = cells(request, dataset, shard_size)
    return content_key(cell, dataset, request.users)


ACCESS = RunRequest("night", (MODEL,), ("access",), USERS, ("published",), 2)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ACCESS, name="another night"),
        replace(ACCESS, models=(replace(MODEL, endpoint=Endpoint(("http://two/v1",), "KEY")),)),
        replace(ACCESS, models=(replace(MODEL, prices=Prices(1, 2)),)),
    ],
    ids=["name", "where it is served", "prices"],
)
def test_what_moves_no_result_changes_no_key(changed: RunRequest) -> None:
    assert key(changed) == key(ACCESS)


def test_the_cut_into_shards_changes_no_key() -> None:
    assert key(ACCESS, shard_size=1) == key(ACCESS)


@pytest.mark.parametrize(
    "changed",
    [
        replace(ACCESS, models=(replace(MODEL, model="m2"),)),
        replace(ACCESS, models=(replace(MODEL, sampling=Sampling(temperature=0.5)),)),
        replace(ACCESS, models=(replace(MODEL, provider="vllm", engine=EngineSpec(args='{"dtype":"float32"}')),)),
        replace(ACCESS, epochs=3),
        replace(ACCESS, limit=1),
        replace(ACCESS, templates=("native",)),
        replace(ACCESS, users=UsersSpec()),
        replace(ACCESS, families=("queue",)),
    ],
    ids=["model", "sampling", "engine", "epochs", "limit", "template", "users", "family"],
)
def test_what_may_move_results_changes_the_key(changed: RunRequest) -> None:
    assert key(changed) != key(ACCESS)


def test_another_dataset_changes_the_key() -> None:
    other = generate_dataset("2", 1, None, None)
    assert key(ACCESS, other) != key(ACCESS)


def test_a_new_scorer_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(ACCESS)
    family = FAMILIES["access"]
    monkeypatch.setattr(type(family), "scorer_version", family.scorer_version + 1)
    assert key(ACCESS) != before


def test_a_new_wording_of_the_briefing_changes_the_key() -> None:
    """Code that renders a briefing can change its text while the dataset's version stays the same."""
    (cell,) = cells(ACCESS)
    before = content_key(cell, DATASET, USERS)
    reworded = replace(
        DATASET,
        by_family={
            **DATASET.by_family,
            "access": {
                name: replace(scenario, briefing=f"{scenario.briefing}!")
                for name, scenario in DATASET.by_family["access"].items()
            },
        },
    )
    assert content_key(cell, reworded, USERS) != before


@pytest.mark.parametrize(("users", "same"), [(USERS, False), (UsersSpec(), True)])
def test_a_new_wording_of_the_users_part_counts_where_a_model_plays_them(
    users: UsersSpec, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(ACCESS, users=users)
    before = key(request)
    original: Callable[..., tuple[ChatMessage, ...]] = muses_module.user_prompt
    monkeypatch.setattr(muses_module, "user_prompt", lambda *args: (*original(*args), ChatMessage("user", "new")))
    assert (key(request) == before) is same


@pytest.mark.parametrize(("family", "same"), [("access", False), ("queue", True)])
def test_how_later_turns_are_put_together_counts_where_there_are_any(
    family: str, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of later turns counts for access only, since an episode of queue has one turn."""
    request = replace(ACCESS, users=UsersSpec(), families=(family,))
    before = key(request)
    original = dialogue_module.Dialogue.add_inputs

    def add_inputs(dialogue: dialogue_module.Dialogue, inputs: tuple[Input, ...]) -> None:
        mark = " (again)" if dialogue.turn else ""
        original(dialogue, tuple(replace(entry, text=f"{entry.text}{mark}") for entry in inputs))

    monkeypatch.setattr(dialogue_module.Dialogue, "add_inputs", add_inputs)
    assert (key(request) == before) is same


@pytest.mark.parametrize(("users", "same"), [(USERS, False), (UsersSpec(), True)])
def test_how_users_read_on_counts_where_a_model_plays_them(
    users: UsersSpec, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(ACCESS, users=users)
    before = key(request)
    original: Callable[..., tuple[ChatMessage, ...]] = muses_module.user_prompt

    def otherwise(principal: Principal, view: PrincipalView) -> tuple[ChatMessage, ...]:
        return original(principal, view) if view.turn == 1 else (*original(principal, view), ChatMessage("user", "!"))

    monkeypatch.setattr(muses_module, "user_prompt", otherwise)
    assert (key(request) == before) is same


def test_what_is_said_to_be_silence_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(ACCESS)
    monkeypatch.setattr(users_module, "SILENCE", "[DONE]")
    assert key(ACCESS) != before


def key_in(protocol: EpisodeProtocol, users: UsersSpec, family: str = "access") -> str:
    request = replace(ACCESS, users=users, families=(family,))
    (cell,) = cells(request)
    return content_key(cell, DATASET, users, protocol=protocol)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_protocol_counts(family: str) -> None:
    """The prompts are others, in every family."""
    assert key_in(RELEASED, USERS, family) != key_in(MUSES, USERS, family)


@pytest.mark.parametrize(
    ("changed", "family", "users", "same"),
    [
        ({"access_goal_check": "x"}, "access", UsersSpec(), False),
        ({"access_goal_check": "x"}, "meeting", UsersSpec(), True),
        ({"meeting_greeting": "x"}, "meeting", UsersSpec(), False),
        ({"instruct_system": "x"}, "instruct", UsersSpec(), False),
        ({"user_behaviour": "x"}, "access", USERS, False),
        ({"user_behaviour": "x"}, "access", UsersSpec(), True),
        ({"user_behaviour": "x"}, "queue", USERS, True),
    ],
)
def test_a_text_of_the_released_evaluator_counts_where_it_is_sent(
    changed: dict[str, str], family: str, users: UsersSpec, same: bool
) -> None:
    other = ReleasedProtocol(replace(STAND_IN, **changed))
    assert (key_in(other, users, family) == key_in(RELEASED, users, family)) is same


def test_how_released_histories_are_kept_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_in(RELEASED, UsersSpec())
    monkeypatch.setattr(released_access, "_attributed", lambda target, text: f"{target}: {text}")
    assert key_in(RELEASED, UsersSpec()) != before


VLLM = ModelSpec("v", "vllm", "v", engine=EngineSpec())


@pytest.mark.parametrize(
    ("request_", "same"),
    [
        (replace(ACCESS, models=(VLLM,)), False),
        (replace(ACCESS, users=UsersSpec(VLLM)), False),
        (replace(ACCESS, users=UsersSpec(VLLM), families=("queue",)), True),
        (ACCESS, True),
    ],
    ids=["agent", "users", "users that are not asked", "somebody else's"],
)
def test_an_engine_counts_where_it_serves(request_: RunRequest, same: bool) -> None:
    (cell,) = cells(request_)
    keys = {content_key(cell, DATASET, request_.users, {"v": version}) for version in ("0.32.0 gpu", "0.33.0 gpu")}
    assert (len(keys) == 1) is same


def test_over_how_many_gpus_counts_where_it_is_more_than_one() -> None:
    """The number of GPUs counts for the agent and for simulated users."""
    wide = replace(VLLM, engine=EngineSpec(tensor_parallel=2))
    for one, two in (
        (replace(ACCESS, models=(VLLM,)), replace(ACCESS, models=(wide,))),
        (replace(ACCESS, users=UsersSpec(VLLM)), replace(ACCESS, users=UsersSpec(wide))),
    ):
        assert key(one) != key(two)


SAID = {2: ("4b7a1d26d4301f42", "b8d427d03de469e05207b1d760c78f56")}
"""Dataset version and hash of all scripted messages, by version of the scripted wording."""


def test_scripted_wording_has_a_version() -> None:
    """Scripted users and built-in agents affect results by their wording, of which the key contains only a version.

    If this test fails because a scripted message changed, raise SCRIPTED_VERSION and record the new hash under it.
    If it fails because the generated scenarios changed, record only the new hash.
    """

    async def transcripts() -> list[object]:
        return [
            [name, kind, scenario.id, [(m.sender, m.audience, m.content) for m in played.transcript.messages if m.turn]]
            for name, family in FAMILIES.items()
            for kind in SCRIPTED_KINDS
            for scenario in dataset.scenarios(name)
            for played in [await play_scripted(family, scenario, kind, 1)]
        ]

    dataset = generate_dataset("20", 0, None, None)
    assert (dataset.version, digest(asyncio.run(transcripts()))) == SAID[SCRIPTED_VERSION]


@pytest.mark.parametrize(
    ("request_", "same"),
    [
        (ACCESS, True),
        (replace(ACCESS, users=UsersSpec()), False),
        (replace(ACCESS, models=(ModelSpec("s", "scripted", "oracle"),)), False),
        (replace(ACCESS, users=UsersSpec(), families=("queue",)), True),
    ],
    ids=["models only", "scripted users", "built-in agent", "users that say nothing"],
)
def test_that_version_counts_where_scripted_parts_speak(
    request_: RunRequest, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key(request_)
    monkeypatch.setattr(module, "SCRIPTED_VERSION", SCRIPTED_VERSION + 1)
    assert (key(request_) == before) is same
