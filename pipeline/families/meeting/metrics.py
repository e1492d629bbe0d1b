"""The metrics of the meeting family (paper, section 4.1 and appendix A.3).

``success`` tells whether all essential principals attend the announced meeting; the attendances are fractions of the
invited, essential or optional principals who attend; ``slot_utility`` compares the announced slot with the best one;
``turns`` counts the agent's turns; ``invented_availability`` is 1 when the agent relied on a consent that no principal
gave; ``social_welfare`` is the mean utility of all principals, weighted by authority.  :mod:`published_scoring` and
:mod:`corrected_scoring` compute them; this module applies both to an episode, and one of them to a recorded reply.
"""

from collections.abc import Iterator

from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.meeting import (
    announcement,
    corrected_scoring as corrected,
    published_scoring as published,
)
from muses_eval.pipeline.families.meeting.announcement import Announcement
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth

METRICS = (
    "success",
    "attendance",
    "essential_attendance",
    "optional_attendance",
    "slot_utility",
    "turns",
    "invented_availability",
    "social_welfare",
)


def score(scenario: Scenario[MeetingTruth], transcript: Transcript) -> tuple[Score, ...]:
    """Returns the metrics of an episode, by both scorings."""
    return (*_published_scores(scenario, transcript), *_corrected_scores(scenario, transcript))


def score_case(scenario: Scenario[MeetingTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
    """Scores a recorded case: ``final_schedule``, ``attendees``, ``goal_achieved`` and ``turns`` of one episode.

    Raises:
        RowError: the case is malformed.
    """
    for field in ("final_schedule", "attendees", "goal_achieved"):
        if field not in case:
            raise RowError(f"missing; expected what the agent announced (the case has {', '.join(case)})", field)
    turns = float(read_field(case, "turns", int))
    schedule, attendees, goal = case["final_schedule"], case["attendees"], case["goal_achieved"]
    if scoring == "published":
        recorded = published.score(scenario.truth, schedule, attendees, goal)
        values = {**_common(recorded), "turns": turns}
        return values if recorded.error is None else {**values, "turns": 0.0, "error": recorded.error}
    announced = None
    if announcement.is_true(goal):
        invited = announcement.parse_attendees(attendees, scenario.names)
        announced = Announcement(announcement.parse_schedule(schedule), invited, "")
    return {
        **_common(corrected.score(scenario.truth, announced)),
        "turns": turns,
        "social_welfare": _social_welfare(scenario, announced),
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
    if result.error is not None:  # the released averages count an error as 0 here and leave it out of attendance
        yield from (Score("published", metric, 0.0) for metric in ("success", "slot_utility", "turns"))
        return
    for metric, value in _common(result).items():
        yield Score("published", metric, float(value))
    yield Score("published", "turns", float(len(replies) if final is None else final.turn))


def _corrected_scores(scenario: Scenario[MeetingTruth], transcript: Transcript) -> Iterator[Score]:
    replies = transcript.replies()
    announced = corrected.first_announcement(replies, scenario.names)
    for metric, value in _common(corrected.score(scenario.truth, announced)).items():
        yield Score("corrected", metric, float(value))
    yield Score("corrected", "turns", float(len(replies)))
    invented = corrected.invented_availability(scenario.truth, transcript, announced)
    yield Score("corrected", "invented_availability", invented)
    yield Score("corrected", "social_welfare", _social_welfare(scenario, announced))


def _social_welfare(scenario: Scenario[MeetingTruth], announced: Announcement | None) -> float:
    weights = [float(principal.authority) for principal in scenario.principals]
    return corrected.social_welfare(scenario.truth, weights, announced)
