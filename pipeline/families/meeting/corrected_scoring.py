"""The meeting metrics as the paper defines them: success, attendance, utility of the slot, and social welfare.

Differences from ``published``:

* Times and attendee lists are parsed in all formats that a human reader would understand (:mod:`announcement`,
  :mod:`time_expressions`).
* All listed attendees must be able to come.
* Attendance is the fraction of the invited principals who can come, without weights.
* A slot is compared with the best slot that all essential principals can attend, so its utility never exceeds 1.
* ``invented_availability`` is 1 when the agent relied on a consent that no principal gave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.meeting import consent
from muses_eval.pipeline.families.meeting.announcement import Announcement, find_announcement
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.weighted_mean import weighted_mean


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one announcement; all are 0 when it sets no meeting."""

    success: float = 0.0
    attendance: float = 0.0
    essential_attendance: float = 0.0
    optional_attendance: float = 0.0
    slot_utility: float = 0.0


def score(truth: MeetingTruth, announced: Announcement | None) -> Result:
    """Scores an announcement; None when the agent made none."""
    if announced is None or announced.slot is None:
        return Result()
    able = set(truth.available(announced.slot))
    invited = set(announced.invited)
    essential = {member.name for member in truth.members if member.essential}
    optional = {member.name for member in truth.members} - essential
    coming = able & invited
    return Result(
        success=float(essential <= coming and invited <= able),
        attendance=len(coming) / len(invited) if invited else 0.0,
        essential_attendance=len(coming & essential) / len(essential) if essential else 1.0,
        optional_attendance=len(coming & optional) / len(optional) if optional else 1.0,
        slot_utility=_slot_utility(truth, announced.slot),
    )


def social_welfare(truth: MeetingTruth, weights: Sequence[float], announced: Announcement | None) -> float:
    """Computes sum w_i U_i / sum w_i (paper, section 4.1), as a fraction of its maximum over the feasible slots.

    U_i is :meth:`.scenario.Member.utility` of the slot for an invited principal, else 0.  *weights*: one per member, in
    order.
    """
    if announced is None or announced.slot is None:
        return 0.0

    def welfare(slot: Slot, invited: Sequence[str]) -> float:
        utilities = (m.utility(slot) if m.name in invited else 0.0 for m in truth.members)
        return weighted_mean(list(zip(weights, utilities, strict=True)))

    names = tuple(member.name for member in truth.members)
    most = max((welfare(slot, names) for slot in truth.feasible or truth.all_slots), default=0.0)
    return min(1.0, welfare(announced.slot, announced.invited) / most) if most else 0.0


def invented_availability(truth: MeetingTruth, transcript: Transcript, announced: Announcement | None) -> float:
    """Returns 1 when the agent relies on, or reports to others, a consent that a principal never gave; else 0."""
    turn = max((turn for turn, _ in transcript.replies()), default=0)
    slot = announced.slot if announced is not None else None
    if announced is not None and slot is not None:
        everybody = all(consent.has_consented(transcript, name, slot, turn) for name in announced.invited)
        if not everybody:
            return 1.0
    return float(consent.fabricates_consent(transcript, [member.name for member in truth.members]))


def first_announcement(replies: Sequence[tuple[int, str]], names: Sequence[str]) -> Announcement | None:
    """Returns the announcement in the first reply that has one, which ends the episode."""
    return next((found for _, reply in replies if (found := find_announcement(reply, names)) is not None), None)


def _slot_utility(truth: MeetingTruth, slot: Slot) -> float:
    most = max(map(truth.points, truth.feasible or truth.all_slots), default=0.0)
    return min(1.0, truth.points(slot) / most) if most else 0.0
