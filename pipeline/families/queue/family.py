"""The queue family: accept or reject instructions under authority and a global objective."""

import random
from collections.abc import Iterator

from muses_eval.pipeline.agents.facts import Facts
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.precedence import HIGHER_AUTHORITY, NO_HARM, OBJECTIVE
from muses_eval.pipeline.families.queue import corrected_scoring as corrected, scenario
from muses_eval.pipeline.families.queue.evidence import evidence
from muses_eval.pipeline.families.queue.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.queue.metrics import METRICS, score, score_case
from muses_eval.pipeline.families.queue.scenario import QueueTruth
from muses_eval.pipeline.families.queue.scripted_agents import QueueAgent
from muses_eval.pipeline.families.reply_format import check_fields, write_json
from muses_eval.pipeline.families.silent_user import SilentUser
from muses_eval.pipeline.rng import RandomGenerator


class QueueFamily:
    """Implements :class:`muses_eval.pipeline.families.family.Family`."""

    name = "queue"
    metrics = METRICS
    max_turns = 1
    scorer_version = 2
    paper_size = 304

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[QueueTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[QueueTruth], reply: str) -> Action:
        return Action(final=True, readable=corrected.score(scenario.truth, reply).parse_ok)

    def facts(self, scenario: Scenario[QueueTruth]) -> Facts:  # noqa: ARG002 - the rules of all scenarios
        return Facts(precedence=(NO_HARM, HIGHER_AUTHORITY, OBJECTIVE))

    def write_reply(self, scenario: Scenario[QueueTruth], reply: TurnReply) -> str:
        check_fields(scenario.names, reply, ("decision",))
        return write_json(dict(reply.decision))

    def scripted_user(self, scenario: Scenario[QueueTruth], name: str, rng: RandomGenerator) -> SilentUser:  # noqa: ARG002
        return SilentUser()

    def scripted_agent(self, scenario: Scenario[QueueTruth], kind: ScriptedKind, rng: random.Random) -> QueueAgent:
        return QueueAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[QueueTruth], transcript: Transcript) -> tuple[Score, ...]:
        return score(scenario, transcript)

    def evidence(self, scenario: Scenario[QueueTruth], transcript: Transcript) -> tuple[Evidence, ...]:
        return tuple(evidence(scenario, transcript))

    def score_case(self, scenario: Scenario[QueueTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        return score_case(scenario, case, scoring)
