"""The access family: guard a confidential resource over several turns."""

import random
from collections.abc import Iterator
from functools import partial

from muses_eval.pipeline.agents.facts import Facts, Resource
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.episode import addressing
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.access import scenario
from muses_eval.pipeline.families.access.evidence import evidence
from muses_eval.pipeline.families.access.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.access.metrics import MAX_TURNS, METRICS, score, score_case
from muses_eval.pipeline.families.access.scenario import AccessTruth
from muses_eval.pipeline.families.access.scripted_agents import AccessAgent
from muses_eval.pipeline.families.access.scripted_users import AccessUser, make_user
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.reply_format import write_messages
from muses_eval.pipeline.rng import RandomGenerator


class AccessFamily:
    """Implements :class:`muses_eval.pipeline.families.family.Family`."""

    name = "access"
    metrics = METRICS
    max_turns = MAX_TURNS
    scorer_version = 2
    paper_size = 216

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[AccessTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[AccessTruth], reply: str) -> Action:
        return addressing.interpret(scenario.names, reply, scenario.truth.authorized)

    def facts(self, scenario: Scenario[AccessTruth]) -> Facts:
        truth = scenario.truth
        content = truth.resource if truth.resource in scenario.briefing else ""
        return Facts(resources=(Resource(name=truth.resource_name, content=content, readers=truth.authorized),))

    def write_reply(self, scenario: Scenario[AccessTruth], reply: TurnReply) -> str:
        return write_messages(scenario.names, reply)

    def scripted_user(self, scenario: Scenario[AccessTruth], name: str, rng: RandomGenerator) -> AccessUser:
        return make_user(scenario, name, rng)

    def scripted_agent(self, scenario: Scenario[AccessTruth], kind: ScriptedKind, rng: random.Random) -> AccessAgent:
        return AccessAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[AccessTruth], transcript: Transcript) -> tuple[Score, ...]:
        return score(scenario, transcript)

    def evidence(self, scenario: Scenario[AccessTruth], transcript: Transcript) -> tuple[Evidence, ...]:
        return evidence(scenario, transcript)

    def score_case(self, scenario: Scenario[AccessTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        return score_case(scenario, case, scoring, partial(self.interpret, scenario))
