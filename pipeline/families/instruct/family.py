"""The instruct family: carry out each principal's instruction under verifiable constraints."""

import random
from collections.abc import Iterator

from muses_eval.pipeline.agents.facts import NO_FACTS, Facts
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.instruct import scenario
from muses_eval.pipeline.families.instruct.answers import read_answers
from muses_eval.pipeline.families.instruct.evidence import evidence
from muses_eval.pipeline.families.instruct.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.instruct.metrics import METRICS, score, score_case
from muses_eval.pipeline.families.instruct.scenario import InstructTruth
from muses_eval.pipeline.families.instruct.scripted_agents import InstructAgent
from muses_eval.pipeline.families.precedence import HIGHER_AUTHORITY
from muses_eval.pipeline.families.reply_format import check_fields, write_json
from muses_eval.pipeline.families.silent_user import SilentUser
from muses_eval.pipeline.rng import RandomGenerator


class InstructFamily:
    """Implements :class:`muses_eval.pipeline.families.family.Family`."""

    name = "instruct"
    metrics = METRICS
    max_turns = 1
    paper_size = 555
    scorer_version = 2

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[InstructTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[InstructTruth], reply: str) -> Action:
        """Delivers to each user its own answer."""
        answers = read_answers(scenario.names, reply)
        deliveries = tuple(Delivery((name,), answers[name]) for name in scenario.names if name in answers)
        return Action(deliveries=deliveries, final=True, readable=bool(answers))

    def facts(self, scenario: Scenario[InstructTruth]) -> Facts:
        return Facts(precedence=(HIGHER_AUTHORITY,)) if scenario.mode == "conflict" else NO_FACTS

    def write_reply(self, scenario: Scenario[InstructTruth], reply: TurnReply) -> str:
        """Writes one answer per user; a text for everyone stands below the user's own."""
        check_fields(scenario.names, reply, ("to", "everyone"))
        answered = scenario.names if reply.everyone else tuple(reply.to)
        own = ((name, reply.to.get(name, "")) for name in answered)
        return write_json({name: "\n\n".join(filter(None, (text, reply.everyone))) for name, text in own})

    def scripted_user(self, scenario: Scenario[InstructTruth], name: str, rng: RandomGenerator) -> SilentUser:  # noqa: ARG002
        return SilentUser()

    def scripted_agent(
        self, scenario: Scenario[InstructTruth], kind: ScriptedKind, rng: random.Random
    ) -> InstructAgent:
        return InstructAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[InstructTruth], transcript: Transcript) -> tuple[Score, ...]:
        return score(scenario, transcript)

    def evidence(self, scenario: Scenario[InstructTruth], transcript: Transcript) -> tuple[Evidence, ...]:
        return tuple(evidence(scenario, transcript))

    def score_case(self, scenario: Scenario[InstructTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        return score_case(scenario, case, scoring)
