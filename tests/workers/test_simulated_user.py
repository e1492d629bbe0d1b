"""Simulated users are separate from the agent, have their own views, and never cause a failure of the agent."""

import asyncio
import json
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.principal import AGENT, Principal
from muses_eval.pipeline.episode.transcript import Message, delivered
from muses_eval.pipeline.episode.user_prompt import SILENCE, parse_user_reply, user_prompt
from muses_eval.pipeline.plan.plan import RunRequest, make_plan
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.storage.runs.shards import read_shard
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_worker import ShardWorker

from tests.provider import Provider, Response, completion, failed, refused
from tests.released import RELEASED, STAND_IN

BO = Principal(name="Bo", role="Manager", authority=6, persona="I am Bo, calm.", private_context="Wants the vault.")


def view(*messages: Message) -> PrincipalView:
    return PrincipalView("Bo", 9, messages)


def test_the_prompt_holds_the_part_and_ones_own_side_of_the_conversation() -> None:
    prompt = user_prompt(
        BO, view(Message(1, "Bo", (AGENT,), "Open it."), delivered(1, ("Bo",), "No."), delivered(2, ("Bo",), "Really."))
    )
    assert [message.role for message in prompt] == ["system", "user", "assistant", "user"]
    assert all(text in prompt[0].content for text in ("Bo", "Manager", "I am Bo, calm.", "Wants the vault."))
    assert prompt[2].content == "Open it."
    assert prompt[3].content == "No.\n\nReally."


def test_a_principal_that_has_not_spoken_yet_answers_the_agent() -> None:
    prompt = user_prompt(BO, view(delivered(1, ("Bo",), "Hello Bo.")))
    assert [message.role for message in prompt] == ["system", "user"]
    assert prompt[1].content.endswith("Hello Bo.")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Please!", "Please!"),
        (SILENCE, ""),
        (f"  {SILENCE}\n", ""),
        ("Bo: Please!", "Please!"),
        ("Bo says: Please!", "Please!"),
        ("<think>what now</think>\nPlease!", "Please!"),
        ("Bob: no", "Bob: no"),
        (f"Bo: {SILENCE}", ""),
        ("", None),
        ("Bo:", None),
        ("<think>what now</think>", None),
        ("<think>I want the vault, so", None),
        (f" <think>Rather {SILENCE}? No,", None),
    ],
)
def test_what_is_said_is_read_out_of_the_reply(reply: str, said: str | None) -> None:
    assert parse_user_reply(BO, reply) == said


def played(
    tmp_path: Path,
    dataset: Dataset,
    agent: Provider,
    users: Provider,
    *,
    seed: int | None = None,
    protocol: EpisodeProtocol = MUSES,
) -> list[dict[str, Any]]:
    """Returns all episodes of one shard, as rows."""
    model = ModelSpec("agent", "openai", "agent-model", endpoint=Endpoint((agent.base_url,), max_retries=0))
    user_model = ModelSpec(
        "users", "openai", "user-model", Sampling(seed=seed), Endpoint((users.base_url,), max_retries=0)
    )
    who = UsersSpec(user_model)
    plan = make_plan(RunRequest("r", (model,), ("access",), who), dataset, shard_size=100)
    shard = plan.cells[0].shards[0]
    spec = ShardSpec(
        run_id=plan.run_id,
        store=str(tmp_path / "store"),
        dataset=dataset.name,
        dataset_version=dataset.version,
        users=who,
        model=model,
        family="access",
        number=0,
        attempt=1,
        episodes=shard.episodes,
        scenarios=dataset.by_family["access"],
        protocol=protocol,
    )

    async def run() -> None:
        worker = ShardWorker({})
        await worker.run(spec)
        await worker.close()

    asyncio.run(run())
    from muses_eval.storage.objects.open_store import open_store

    return read_shard(open_store(spec.store), spec.key)  # type: ignore[return-value]


def refuse_all(request: Any) -> str:
    return json.dumps({"target": "all", "content": "No."})


def test_users_are_played_by_their_own_model_and_recorded_as_such(tmp_path: Path) -> None:
    dataset = generate_dataset("3", 0, ["access"])
    with Provider(reply=refuse_all) as agent, Provider(reply=lambda _: "Please, I insist.") as users:
        episodes = played(tmp_path, dataset, agent, users)
        assert {received.document["model"] for received in agent.completions} == {"agent-model"}
        assert {received.document["model"] for received in users.completions} == {"user-model"}
        assert len(agent.completions) == 3 * 10
        people = sum(len(scenario.principals) for scenario in dataset.scenarios("access"))
        assert len(users.completions) == people * 9
    for episode in episodes:
        assert episode.users == "openai:user-model"
        roles = [call.role for call in episode.calls]
        assert roles.count("agent") == 10
        assert roles.count("user") == 9 * episode.num_users
        assert "Please, I insist." in [message.content for message in episode.messages]


def test_silent_users_end_the_episode(tmp_path: Path) -> None:
    with Provider(reply=refuse_all) as agent, Provider(reply=lambda _: SILENCE) as users:
        episodes = played(tmp_path, generate_dataset("2", 0, ["access"]), agent, users)
    assert [episode.turns for episode in episodes] == [1, 1]


def test_a_failed_user_is_never_the_agents_loss(tmp_path: Path) -> None:
    dataset = generate_dataset("1", 0, ["access"])
    with Provider(reply=refuse_all) as agent, Provider(script=[failed(500)]) as users:
        (episode,) = played(tmp_path, dataset, agent, users)
    assert (episode.outcome, episode.error_kind, episode.scores) == ("simulator_failed", "server", ())
    assert [message.content for message in episode.messages][-1] == "No."  # the messages before the failure are kept


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (completion("Please", "content_filter"), "content_filter"),
        (refused(400, "blocked", "content_filter"), "content_filter"),
        (refused(400, "too long", "context_length_exceeded"), "context_overflow"),
        (completion("", "length"), "length"),
        (completion("<think>She must not learn that", "length"), "length"),
        (completion(None), "stop"),
    ],
)
def test_a_user_without_words_is_not_a_silent_one(tmp_path: Path, answer: Response, ending: str) -> None:
    """The agent is not scored on a failed simulation; the call is recorded, since it was made."""
    dataset = generate_dataset("1", 0, ["access"])
    with Provider(reply=refuse_all) as agent, Provider(script=repeat(answer)) as users:
        (episode,) = played(tmp_path, dataset, agent, users)
    assert (episode.outcome, episode.error_kind, episode.scores) == ("simulator_failed", "server", ())
    assert episode.error.endswith(f"no usable reply ({ending})")
    assert {call.finish_reason for call in episode.calls if call.role == "user"} == {ending}
    assert episode.turns == 1
    assert episode.messages[-1].sender == AGENT


def test_no_private_context_reaches_anybody_else(tmp_path: Path) -> None:
    """Each request to the users' model holds at most one private context; no request to the agent holds any."""
    dataset = generate_dataset("6", 4, ["access"])
    secrets = {p.private_context for scenario in dataset.scenarios("access") for p in scenario.principals}
    with Provider(reply=refuse_all) as agent, Provider(reply=lambda _: "Please.") as users:
        played(tmp_path, dataset, agent, users)
        for received in agent.completions:
            text = "\n".join(message["content"] for message in received.document["messages"])
            assert not [secret for secret in secrets if secret in text]
        for received in users.completions:
            text = "\n".join(message["content"] for message in received.document["messages"])
            assert len([secret for secret in secrets if secret in text]) == 1


def test_the_seeds_of_users_do_not_depend_on_the_agent(tmp_path: Path) -> None:
    """With common random numbers, every model meets the same random stream of each user."""
    dataset = generate_dataset("2", 0, ["access"])
    seeds = []
    for folder, reply in (("a", "No."), ("b", "Never.")):
        with (
            Provider(reply=lambda _, text=reply: json.dumps({"target": "all", "content": text})) as agent,
            Provider(reply=lambda _: "Please.") as users,
        ):
            played(tmp_path / folder, dataset, agent, users, seed=7)
            seeds.append(sorted(received.document["seed"] for received in users.completions))
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) > 1


# The protocol of the released evaluator


def test_released_prompts_are_sent_as_they_are(tmp_path: Path) -> None:
    """Requests have the texts of the protocol; the agent finds lines for its replies, the users their own memory."""
    dataset = generate_dataset("1", 0, ["access"])
    (scenario,) = dataset.scenarios("access")
    with Provider(reply=refuse_all) as agent, Provider(reply=lambda _: "Please.") as users:
        (episode,) = played(tmp_path, dataset, agent, users, protocol=RELEASED)
        assert episode.turns == 10
        asked = [received.document["messages"] for received in agent.completions]
        last = max(asked, key=len)
        everybody = "\n".join(f"[{name}]: Please." for name in scenario.names)
        assert last[0] == {"role": "system", "content": f"{scenario.briefing}\\n{STAND_IN.access_goal_check}"}
        assert (
            last[2:]
            == [
                {"role": "assistant", "content": "[Agent -> all]: No."},
                {"role": "user", "content": everybody},
            ]
            * 9
        )
        openings = {entry.sender: entry.text for entry in scenario.row_prompt.inputs}  # type: ignore[union-attr]
        first = min((received.document["messages"] for received in users.completions), key=len)
        assert first[0]["content"].startswith("You act as ")
        assert [entry["role"] for entry in first[1:]] == ["assistant", "user"]
        assert first[1]["content"] in openings.values()


@pytest.mark.parametrize("silence", ["...", ""])
def test_the_released_protocol_takes_an_empty_reply_for_silence(tmp_path: Path, silence: str) -> None:
    """Silence does not end an episode: the agent is asked again, up to the last round."""
    dataset = generate_dataset("1", 0, ["access"])
    with Provider(reply=refuse_all) as agent, Provider(reply=lambda _: silence) as users:
        (episode,) = played(tmp_path, dataset, agent, users, protocol=RELEASED)
        assert max(len(received.document["messages"]) for received in agent.completions) == 11
    assert (episode.outcome, episode.turns) == ("scored", 10)
    assert {message.turn for message in episode.messages if message.sender != AGENT} == {0, 1}


@pytest.mark.parametrize("answer", [failed(500), completion("", "content_filter")], ids=["error", "filtered"])
def test_a_failed_user_is_no_silence_in_the_released_protocol(tmp_path: Path, answer: Response) -> None:
    """The released evaluator plays on; here a failure is never a score."""
    dataset = generate_dataset("1", 0, ["access"])
    with Provider(reply=refuse_all) as agent, Provider(script=repeat(answer)) as users:
        (episode,) = played(tmp_path, dataset, agent, users, protocol=RELEASED)
    assert (episode.outcome, episode.scores) == ("simulator_failed", ())
