"""The built-in agents and users, ready for :func:`pipeline.protocol.play`."""

import random
from typing import Any

from pipeline.families.base import Family
from pipeline.protocol import Agent, User
from pipeline.scenario import Scenario
from workers.scripted import ScriptedPrincipal, ScriptedReplies


def scripted_players(
    family: Family[Any], scenario: Scenario[Any], kind: Any, seed: int = 0
) -> tuple[Agent, dict[str, User]]:
    """One agent and all its principals; the same seed gives the same conversation."""
    users: dict[str, User] = {
        name: ScriptedPrincipal(family.user(scenario, name, random.Random(f"{seed}{name}"))) for name in scenario.names
    }
    return ScriptedReplies(family.agent(scenario, kind, random.Random(seed))), users
