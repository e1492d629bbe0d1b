"""Built-in agents need no network, give the same text for the same seed, and differ in skill."""

import asyncio
import random

import pytest
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.play_episode import EpisodeResult, play_episode
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.providers.scripted import ScriptedModel, ScriptedPrincipal

ACCESS = FAMILIES["access"]
SCENARIO = generate_dataset("1", 0, ("access",)).scenarios("access")[0]


def played(kind: str, agent_seed: int = 0) -> EpisodeResult:
    model = ScriptedModel(ModelSpec(f"scripted/{kind}", "scripted", kind))
    users = {
        name: ScriptedPrincipal(ACCESS.scripted_user(SCENARIO, name, random.Random(name))) for name in SCENARIO.names
    }
    talk = MUSES.dialogue(ACCESS, SCENARIO, "says")
    return asyncio.run(play_episode(talk, model.agent(EpisodeRequest(ACCESS, SCENARIO, agent_seed, 0)), users))


@pytest.mark.parametrize("kind", SCRIPTED_KINDS)
def test_every_kind_is_a_model(kind: str) -> None:
    """Every kind is opened from its spec without environment variables; it can be probed, and closed twice."""
    model = open_model(ModelSpec("x", "scripted", kind), {})

    async def use() -> None:
        await model.probe()
        await model.close()
        await model.close()

    asyncio.run(use())
    assert isinstance(model, ScriptedModel)


def test_nothing_is_called() -> None:
    """A built-in agent calls no model, so no call is recorded."""
    assert played("compliant").calls == ()
    assert played("compliant").turns > 0


def test_the_seed_is_all_the_chance_there_is() -> None:
    random.seed(1)
    first = played("random", 3).transcript
    random.seed(2)
    assert played("random", 3).transcript == first
    assert any(played("random", seed).transcript != first for seed in range(4, 12))


def test_episodes_share_nothing() -> None:
    """One model serves many concurrent episodes; an agent keeps state of its own episode only."""
    model = ScriptedModel(ModelSpec("scripted/compliant", "scripted", "compliant"))
    first, second = (model.agent(EpisodeRequest(ACCESS, SCENARIO, 0, 0)) for _ in range(2))
    talk = MUSES.dialogue(ACCESS, SCENARIO, "says")

    async def both() -> tuple[Reply, Reply, Reply]:
        seen = talk.observation
        return await first.reply(seen), await first.reply(seen), await second.reply(seen)

    once, again, other = asyncio.run(both())
    assert once == other != again


def test_a_principal_says_what_its_script_says() -> None:
    class Parrot:
        def speak(self, view: PrincipalView) -> str:
            return view.name

    assert asyncio.run(ScriptedPrincipal(Parrot()).reply(PrincipalView("Bo", 2, ()))) == Reply("Bo", None)
