"""Built-in models: no network, no cost.  They are the floor and the ceiling of every leaderboard."""

import random
from dataclasses import dataclass
from typing import get_args

from pipeline.families.base import ScriptedAgent, ScriptedKind, ScriptedUser
from pipeline.protocol import Observation, Reply, View
from pipeline.specs import ModelSpec
from workers.models import EpisodeRequest


class ScriptedModel:
    """Gives every episode the agent that its family has for this kind."""

    def __init__(self, spec: ModelSpec) -> None:
        self._kind: ScriptedKind = next(kind for kind in get_args(ScriptedKind) if kind == spec.model)

    def agent(self, request: EpisodeRequest) -> "ScriptedReplies":
        dice = random.Random(request.agent_seed)
        return ScriptedReplies(request.family.agent(request.scenario, self._kind, dice))

    async def probe(self) -> None:
        """There is nothing that could be out of reach."""

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass(frozen=True, slots=True)
class ScriptedReplies:
    """A rule-based agent in the place of a model."""

    script: ScriptedAgent

    async def reply(self, observation: Observation) -> Reply:
        return Reply(self.script.speak(observation.inputs))


@dataclass(frozen=True, slots=True)
class ScriptedPrincipal:
    """A rule-based user in the place of a model-played one."""

    script: ScriptedUser

    async def reply(self, view: View) -> Reply:
        return Reply(self.script.speak(view))
