"""Built-in rule-based models without network or cost: the floor and the ceiling of every leaderboard."""

import random
from dataclasses import dataclass
from typing import Any, get_args

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Agent, Observation, PrincipalView, User
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.play_episode import EpisodeResult, play_episode
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.family import Family, ScriptedAgent, ScriptedKind, ScriptedUser
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.rng import SplitMix64
from muses_eval.pipeline.seeds import principal_seed
from muses_eval.workers.providers.chat_request import ChatRequest
from muses_eval.workers.providers.model import EpisodeRequest


class ScriptedModel:
    """A rule-based model; each family has an agent for each kind of it."""

    def __init__(self, spec: ModelSpec) -> None:
        self._kind: ScriptedKind = next(kind for kind in get_args(ScriptedKind) if kind == spec.model)

    def agent(self, request: EpisodeRequest) -> "ScriptedReplies":
        rng = random.Random(request.agent_seed)
        return ScriptedReplies(request.family.scripted_agent(request.scenario, self._kind, rng))

    async def probe(self) -> None:
        """Does nothing: there is no endpoint."""

    async def close(self) -> None:
        """Does nothing: there are no connections."""


class ScriptedReplies:
    """A rule-based model in one episode.

    A harness can be tried with it: whatever messages it sends, it receives the reply of the model alone to the inputs
    of the turn, and the same one for every call in the turn.
    """

    def __init__(self, script: ScriptedAgent) -> None:
        self._script = script
        self._turn, self._said = 0, ""

    async def reply(self, observation: Observation) -> Reply:
        return Reply(self._script.speak(observation.inputs))

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:  # noqa: ARG002 - reads no messages
        if observation.turn != self._turn:
            self._turn, self._said = observation.turn, self._script.speak(observation.inputs)
        return Reply(self._said)


@dataclass(frozen=True, slots=True)
class ScriptedPrincipal:
    """A rule-based user, which takes the place of a simulated one."""

    script: ScriptedUser

    async def reply(self, view: PrincipalView) -> Reply:
        return Reply(self.script.speak(view))


def scripted_participants(
    family: Family[Any], scenario: Scenario[Any], kind: ScriptedKind, seed: int = 0
) -> tuple[Agent, dict[str, User]]:
    """Returns a built-in agent and rule-based users for one episode; the same seed gives the same episode."""
    users: dict[str, User] = {
        name: ScriptedPrincipal(family.scripted_user(scenario, name, SplitMix64(principal_seed(seed, name))))
        for name in scenario.names
    }
    return ScriptedReplies(family.scripted_agent(scenario, kind, random.Random(seed))), users


async def play_scripted(
    family: Family[Any],
    scenario: Scenario[Any],
    kind: ScriptedKind,
    seed: int = 0,
    protocol: EpisodeProtocol = MUSES,
) -> EpisodeResult:
    """Plays one episode of :func:`scripted_participants` to its end."""
    dialogue = protocol.dialogue(family, scenario, scenario.template)
    return await play_episode(dialogue, *scripted_participants(family, scenario, kind, seed))
