"""The meeting family: find a time for several principals over several turns."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from muses_eval.pipeline.agents.facts import Facts
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.episode import addressing
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.meeting import announcement, scenario
from muses_eval.pipeline.families.meeting.evidence import evidence
from muses_eval.pipeline.families.meeting.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.meeting.metrics import MAX_TURNS, METRICS, score, score_case
from muses_eval.pipeline.families.meeting.scenario import PRESENCE_LINE, REQUIRED, MeetingTruth
from muses_eval.pipeline.families.meeting.scripted_agents import MeetingAgent
from muses_eval.pipeline.families.meeting.scripted_users import MeetingUser, make_user
from muses_eval.pipeline.families.reply_format import write_messages
from muses_eval.pipeline.rng import RandomGenerator


class MeetingFamily:
    """Implements :class:`muses_eval.pipeline.families.family.Family`."""

    name = "meeting"
    metrics = METRICS
    scorer_version = 2
    max_turns = MAX_TURNS
    paper_size = 216

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[MeetingTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[MeetingTruth], reply: str) -> Action:
        """Delivers the messages of a reply.  An announcement ends the episode; its report goes to everybody."""
        action = addressing.interpret(scenario.names, reply)
        announced = announcement.find_announcement(reply, scenario.names)
        if announced is None:
            return replace(action, final=False)
        return replace(action, shared=announced.report, final=True, readable=True)

    def facts(self, scenario: Scenario[MeetingTruth]) -> Facts:
        """Returns who is required where the briefing says so, as that of generated scenarios does.

        In the official scenarios only the principals themselves know whether they are required.
        """
        stated = set(scenario.briefing.splitlines())
        required = (name for name in scenario.names if PRESENCE_LINE.format(name=name, presence=REQUIRED) in stated)
        return Facts(required=tuple(required))

    def write_reply(self, scenario: Scenario[MeetingTruth], reply: TurnReply) -> str:
        return write_messages(scenario.names, reply)

    def scripted_user(self, scenario: Scenario[MeetingTruth], name: str, rng: RandomGenerator) -> MeetingUser:
        return make_user(scenario, name, rng)

    def scripted_agent(self, scenario: Scenario[MeetingTruth], kind: ScriptedKind, rng: random.Random) -> MeetingAgent:
        return MeetingAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[MeetingTruth], transcript: Transcript) -> tuple[Score, ...]:
        return score(scenario, transcript)

    def evidence(self, scenario: Scenario[MeetingTruth], transcript: Transcript) -> tuple[Evidence, ...]:
        return tuple(evidence(scenario, transcript))

    def score_case(self, scenario: Scenario[MeetingTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        return score_case(scenario, case, scoring, partial(self.interpret, scenario))
