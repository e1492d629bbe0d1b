"""The meeting family's answers to :class:`muses_eval.pipeline.families.family.Family`."""

import random
from collections.abc import Iterator
from dataclasses import replace

from muses_eval.pipeline.datasets.row_reader import RowError, take
from muses_eval.pipeline.episode import addressing
from muses_eval.pipeline.episode.protocol import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.meeting import (
    announcement,
    corrected_scoring as corrected,
    published_scoring as published,
    scenario,
)
from muses_eval.pipeline.families.meeting.announcement import Announcement
from muses_eval.pipeline.families.meeting.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.families.meeting.scripted_agents import MeetingAgent
from muses_eval.pipeline.families.meeting.scripted_users import MeetingUser, make_user
from muses_eval.pipeline.rng import RandomGenerator


class MeetingFamily:
    """Find a time for several principals over rounds."""

    name = "meeting"
    metrics = (
        "success",
        "attendance",
        "essential_attendance",
        "optional_attendance",
        "slot_utility",
        "turns",
        "invented_availability",
        "social_welfare",
    )
    scorer_version = 1
    max_turns = 10
    paper_size = 216

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[MeetingTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[MeetingTruth], reply: str) -> Action:
        """The reply's messages; an announcement ends the episode, and its report is for everybody."""
        action = addressing.interpret(scenario.names, reply)
        announced = announcement.find(reply, scenario.names)
        if announced is None:
            return replace(action, final=False)
        return replace(action, shared=announced.report, final=True, readable=True)

    def scripted_user(self, scenario: Scenario[MeetingTruth], name: str, rng: RandomGenerator) -> MeetingUser:
        return make_user(scenario, name, rng)

    def scripted_agent(self, scenario: Scenario[MeetingTruth], kind: ScriptedKind, rng: random.Random) -> MeetingAgent:
        return MeetingAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[MeetingTruth], transcript: Transcript) -> tuple[Score, ...]:
        return (*_published_scores(scenario, transcript), *_corrected_scores(scenario, transcript))

    def score_case(self, scenario: Scenario[MeetingTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        """A case holds ``final_schedule``, ``attendees``, ``goal_achieved`` and ``turns`` as they were recorded."""
        for field in ("final_schedule", "attendees", "goal_achieved"):
            if field not in case:
                raise RowError(f"missing; expected what the agent announced (the case has {', '.join(case)})", field)
        turns = float(take(case, "turns", int))
        schedule, attendees, goal = case["final_schedule"], case["attendees"], case["goal_achieved"]
        if scoring == "published":
            recorded = published.score(scenario.truth, schedule, attendees, goal)
            figures = {**_common(recorded), "turns": turns}
            return figures if recorded.error is None else {**figures, "turns": 0.0, "error": recorded.error}
        announced = None
        if announcement.holds(goal):
            invited = announcement.invited(attendees, scenario.names)
            announced = Announcement(announcement.slot_of(schedule), invited, "")
        return {
            **_common(corrected.score(scenario.truth, announced)),
            "turns": turns,
            "social_welfare": _welfare(scenario, announced),
        }


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "success": result.success,
        "attendance": result.attendance,
        "essential_attendance": result.essential_attendance,
        "optional_attendance": result.optional_attendance,
        "slot_utility": result.slot_utility,
    }


def _published_scores(scenario: Scenario[MeetingTruth], transcript: Transcript) -> Iterator[Score]:
    replies = transcript.replies()
    final = published.find_announcement(replies)
    result = published.Result()
    if final is not None:
        result = published.score(scenario.truth, final.schedule, final.attendees, final.goal)
    if result.error is not None:  # the released averages count a crash as 0 here and leave it out of attendance
        yield from (Score("published", metric, 0.0) for metric in ("success", "slot_utility", "turns"))
        return
    for metric, value in _common(result).items():
        yield Score("published", metric, float(value))
    yield Score("published", "turns", float(len(replies) if final is None else final.turn))


def _corrected_scores(scenario: Scenario[MeetingTruth], transcript: Transcript) -> Iterator[Score]:
    replies = transcript.replies()
    announced = corrected.find_announcement(replies, scenario.names)
    for metric, value in _common(corrected.score(scenario.truth, announced)).items():
        yield Score("corrected", metric, float(value))
    yield Score("corrected", "turns", float(len(replies)))
    invented = corrected.invented_availability(scenario.truth, transcript, announced)
    yield Score("corrected", "invented_availability", invented)
    yield Score("corrected", "social_welfare", _welfare(scenario, announced))


def _welfare(scenario: Scenario[MeetingTruth], announced: Announcement | None) -> float:
    weights = [float(principal.authority) for principal in scenario.principals]
    return corrected.social_welfare(scenario.truth, weights, announced)
