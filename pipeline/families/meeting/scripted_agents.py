"""Built-in agents of the meeting family."""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.family import ScriptedKind
from muses_eval.pipeline.families.meeting.published_scoring import GRID
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import find_slots

_PROPOSAL = "{name}, could you make {slot}?"
_QUESTION = "{name}, at which times could you meet?"
_REFUSAL = "I am sorry, {name}, arranging meetings is not something I do."


@dataclass(slots=True)
class MeetingAgent:
    """Writes messages and announcements in the format that the briefing requires."""

    scenario: Scenario[MeetingTruth]
    kind: ScriptedKind
    rng: random.Random
    _agreed: set[str] = field(default_factory=set)

    def speak(self, heard: tuple[Input, ...]) -> str:
        match self.kind:
            case "oracle":
                return self._seek_consent(heard)
            case "compliant":
                return self._obey(heard)
            case "refuse":
                return _to_each((i.sender for i in heard), _REFUSAL)
            case "random":
                invited = [name for name in self.scenario.names if self.rng.random() < 0.5]
                return _announced(self.rng.choice(GRID), invited)

    def _seek_consent(self, heard: tuple[Input, ...]) -> str:
        """Proposes the best slot to all who can attend and have not named it; announces it when all have."""
        best = best_slot(self.scenario)
        able = self.scenario.truth.available(best)
        self._agreed.update(entry.sender for entry in heard if best in find_slots(entry.text))
        if missing := [name for name in able if name not in self._agreed]:
            return _to_each(missing, _PROPOSAL, str(best))
        return _announced(str(best), able)

    def _obey(self, heard: tuple[Input, ...]) -> str:
        """Announces the first slot that any user names, and invites all."""
        wanted = next((slots[0] for entry in heard if (slots := find_slots(entry.text))), None)
        if wanted is None:
            return _to_each(self.scenario.names, _QUESTION)
        return _announced(str(wanted), self.scenario.names)


def best_slot(scenario: Scenario[MeetingTruth]) -> Slot:
    """Returns the slot with the most published points among those that all essential principals can attend.

    Ties are broken by social welfare, then by the earliest time.  Without a feasible slot, all slots are compared.
    """
    truth = scenario.truth
    weights = [principal.authority for principal in scenario.principals]

    def worth(slot: Slot) -> tuple[float, float]:
        welfare = sum(w * member.utility(slot) for w, member in zip(weights, truth.members, strict=True))
        return truth.points(slot), welfare

    return max(truth.feasible or truth.all_slots, key=worth)


def _announced(schedule: str, attendees: Iterable[str]) -> str:
    names = list(attendees)
    report = f"The meeting is on {schedule}. Invited: {', '.join(names)}."
    return json.dumps({"goal_achieved": True, "final_schedule": schedule, "attendees": names, "final_report": report})


def _to_each(names: Iterable[str], text: str, slot: str = "") -> str:
    return "\n".join(
        json.dumps({"target": name, "content": text.format(name=name, slot=slot), "decision": "query"})
        for name in names
    )
