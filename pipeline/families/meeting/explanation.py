"""Explains the scores of a meeting episode: what was announced, who cannot come, and which slots were right."""

from collections.abc import Iterable, Iterator

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.meeting import (
    consent,
    corrected_scoring as corrected,
    published_scoring as published,
)
from muses_eval.pipeline.families.meeting.announcement import Announcement, find_announcement
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.families.meeting.slot import Slot


def explain(scenario: Scenario[MeetingTruth], transcript: Transcript) -> Iterator[str]:
    """Yields what the agent announced and how that fits the calendars, by the corrected reading."""
    truth, replies = scenario.truth, transcript.replies()
    essential = [member.name for member in truth.members if member.essential]
    yield f"required: {_names(essential)} · slots that all of them can attend: {_names(map(str, truth.feasible))}"
    turn, announced = next(
        ((turn, found) for turn, reply in replies if (found := find_announcement(reply, scenario.names)) is not None),
        (0, None),
    )
    if announced is None:
        yield f"no meeting was announced in {len(replies)} turns"
    elif announced.slot is None:
        yield f"turn {turn}: the announcement names no time that can be read"
    else:
        yield f"turn {turn}: announced {announced.slot} with {_names(announced.invited)}"
        yield from _faults(truth, transcript, announced, announced.slot, turn)
    if corrected.invented_availability(truth, transcript, announced):
        yield "the agent relied on, or reported, a consent that was never given (invented_availability)"
    released = published.score_replies(truth, replies, from_api=transcript.from_api)
    if released.metrics.error is not None:
        yield f"published: the released code fails on the replies: {released.metrics.error}"
    by_rule = {
        "published": released.metrics.success,
        "corrected": corrected.score(truth, announced).success,
    }
    yield " · ".join(f"{scoring}: {'success' if value else 'no success'}" for scoring, value in by_rule.items())


def _faults(
    truth: MeetingTruth, transcript: Transcript, announced: Announcement, slot: Slot, turn: int
) -> Iterator[str]:
    for member in truth.members:
        role = "required" if member.essential else "optional"
        if member.essential and member.name not in announced.invited:
            yield f"{member.name} ({role}) is not invited"
        if member.name not in announced.invited:
            continue
        if not member.can_attend(slot):
            yield f"{member.name} ({role}) cannot attend {slot}; can: {_names(map(str, member.slots))}"
        elif not consent.has_consented(transcript, member.name, slot, turn):
            yield f"{member.name} ({role}) was counted on without a consent"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
