"""The metrics of the meeting family (paper, section 4.1 and appendix A.3).

``success`` tells whether all essential principals attend the announced meeting; the attendances are fractions of the
invited, essential or optional principals who attend; ``slot_utility`` compares the announced slot with the best one;
``turns`` counts the agent's turns; ``invented_availability`` is 1 when the agent relied on a consent that no principal
gave; ``social_welfare`` is the mean utility of all principals, weighted by authority; ``row_error`` tells whether the
released code fails on the replies.  :mod:`published_scoring` and
:mod:`corrected_scoring` compute them; this module applies both to an episode, and one of them to a recorded reply.
"""

from collections.abc import Iterator

from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.recorded_replies import Interpret, RecordedReplies, read_recorded_replies
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

MAX_TURNS = 10
METRICS = (
    "success",
    "attendance",
    "essential_attendance",
    "optional_attendance",
    "slot_utility",
    "turns",
    "invented_availability",
    "social_welfare",
    "row_error",
)
_LEFT_OUT = ("attendance", "essential_attendance", "optional_attendance")
"""Metrics without a value in a row that failed: the released averages leave it out of these and count 0 in the rest."""


def score(scenario: Scenario[MeetingTruth], transcript: Transcript) -> tuple[Score, ...]:
    """Returns the metrics of an episode, by both scorings."""
    return (*_published_scores(scenario, transcript), *_corrected_scores(scenario, transcript))


def score_case(
    scenario: Scenario[MeetingTruth], case: Row, scoring: Scoring, interpret: Interpret
) -> dict[str, float | str]:
    """Scores a recorded case: ``replies``, raw, one per turn; or what one of them announced.

    An announcement has ``final_schedule``, ``attendees``, ``goal_achieved`` and ``turns``.

    Raises:
        RowError: the case is malformed.
    """
    if "replies" in case:
        return _replies(scenario, read_recorded_replies(case), scoring, interpret)
    for field in ("final_schedule", "attendees", "goal_achieved"):
        if field not in case:
            raise RowError(f"missing; expected what the agent announced (the case has {', '.join(case)})", field)
    turns = float(read_field(case, "turns", int))
    schedule, attendees, goal = case["final_schedule"], case["attendees"], case["goal_achieved"]
    if scoring == "published":
        recorded = published.score(scenario.truth, schedule, attendees, goal)
        return _published_values(published.EpisodeResult(recorded, 0 if recorded.error else int(turns)))
    announced = None
    if announcement.is_true(goal):
        invited = announcement.parse_attendees(attendees, scenario.names)
        announced = Announcement(announcement.parse_schedule(schedule), invited, "")
    return {
        **_common(corrected.score(scenario.truth, announced)),
        "turns": turns,
        "social_welfare": _social_welfare(scenario, announced),
    }


def _replies(
    scenario: Scenario[MeetingTruth], recorded: RecordedReplies, scoring: Scoring, interpret: Interpret
) -> dict[str, float | str]:
    if scoring == "published":
        return _published_values(published.score_replies(scenario.truth, recorded.by_turn, from_api=recorded.from_api))
    transcript = recorded.transcript(scenario, interpret, MAX_TURNS)
    scores = _corrected_scores(scenario, transcript)
    return {score.metric: score.value for score in scores if score.metric != "invented_availability"}


def _published_values(result: published.EpisodeResult) -> dict[str, float | str]:
    values = {**_common(result.metrics), "turns": float(result.turns)}
    return values if result.metrics.error is None else {**values, "error": result.metrics.error}


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "success": result.success,
        "attendance": result.attendance,
        "essential_attendance": result.essential_attendance,
        "optional_attendance": result.optional_attendance,
        "slot_utility": result.slot_utility,
    }


def _published_scores(scenario: Scenario[MeetingTruth], transcript: Transcript) -> Iterator[Score]:
    result = published.score_replies(scenario.truth, transcript.replies(), from_api=transcript.from_api)
    failed = result.metrics.error is not None
    for metric, value in _common(result.metrics).items():
        if not (failed and metric in _LEFT_OUT):
            yield Score("published", metric, float(value))
    yield Score("published", "turns", float(result.turns))
    yield Score("published", "row_error", float(failed))


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
