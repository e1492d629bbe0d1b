"""Rule-based users of the meeting family; each answers for its own calendar only.

A user answers every slot and interval that the agent's message names.  A question for other times is answered with the
secondary slots, any other question with the preferred ones.  A stubborn user discloses a secondary slot only when asked
for it or for other times.  A user answers in every turn in which it is addressed, so no conversation ends by silence.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth, Member
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import time_expressions
from muses_eval.pipeline.families.meeting.wording import join_slots, wording
from muses_eval.pipeline.rng import RandomGenerator

_ASKS_FOR_MORE = re.compile(
    r"\b(?:back-?ups?|secondary|second(?:ary)? choices?|alternat\w+|flexib\w+|adjust\w*|switch|shift|move|rearrange"
    r"|reschedul\w+|fall-?backs?|additional|any other|anything else"
    r"|(?:other|more|further) (?:times?|slots?|options?|days?|availabilit\w+)|less preferred"
    r"|if (?:absolutely |really )?(?:necessary|needed))\b",
    re.IGNORECASE,
)
_ASKS_FOR_TIMES = re.compile(
    r"\?|\b(?:availab\w+|when|times?|slots?|schedul\w+|prefer\w*|calendar|suits?|options?|free"
    r"|works? (?:best )?for you)\b",
    re.IGNORECASE,
)
_ASKS_OPENLY = re.compile(
    r"\b(?:(?:which|what|all|any) (?:of )?(?:your |other |the )?(?:days?|times?|slots?|windows?)|availabilit\w+"
    r"|when (?:can|could|are|would|do)|your (?:preferred|best) )",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(
    r"\((?:e\.?g|for example|for instance|such as|like|example)\b[^()\n]{0,200}\)|\be\.g\.?[^()?!\n]{0,120}",
    re.IGNORECASE,
)
"""An example of the format of a time, which is not a proposal."""
_MANY = 4
"""Number of declined slots from which they are not listed one by one."""


@dataclass(frozen=True, slots=True)
class MeetingUser:
    """A rule-based user.  ``rng`` only chooses between wordings."""

    member: Member
    rng: RandomGenerator
    opening: str = ""
    """Its first message, with which it also answers a greeting."""

    def speak(self, view: PrincipalView) -> str:
        if view.turn == 1:
            return self.opening
        heard = _EXAMPLE.sub("", view.last_received)
        asks_for_more = bool(_ASKS_FOR_MORE.search(heard))
        asks_openly = bool(_ASKS_OPENLY.search(heard))
        named = [expression for expression in time_expressions(heard) if not expression.negated]
        proposed = tuple(dict.fromkeys(expression.slot for expression in named if expression.slot is not None))
        if proposed:
            return self._answer(proposed, asks_for_more=asks_for_more, asks_openly=asks_openly)
        asks = asks_for_more or asks_openly or bool(_ASKS_FOR_TIMES.search(heard))
        if named and asks:
            within = [s for s in self.member.slots if any(expression.covers(s) for expression in named)]
            return self._offer(within, asks_for_more=asks_for_more)
        if asks:
            return self._list(asks_for_more=asks_for_more)
        return self._say(wording().noted)

    def _answer(self, proposed: Sequence[Slot], *, asks_for_more: bool, asks_openly: bool) -> str:
        """Accepts or declines every proposed slot, and names its other times if asked for them."""
        liked = [slot for slot in proposed if slot in self.member.preferred]
        possible = [slot for slot in proposed if slot in self.member.secondary]
        declined = [slot for slot in proposed if not self.member.can_attend(slot)]
        if self.member.stubborn and liked and not asks_for_more:
            possible = []
        parts = [self._say(wording().accepted, liked), self._say(wording().accepted_reluctantly, possible)]
        if liked or possible:
            parts.append(self._say(wording().rest_declined) if declined else "")
            parts += self._besides(proposed, asks_for_more=asks_for_more, asks_openly=asks_openly)
        else:
            few = len(declined) < _MANY
            parts.append(self._say(wording().declined, declined, "or") if few else self._say(wording().none_of_many))
            parts.append(self._instead(declined, asks_for_more=asks_for_more))
        return _joined(parts)

    def _besides(self, proposed: Sequence[Slot], *, asks_for_more: bool, asks_openly: bool) -> list[str]:
        """Returns sentences on its times that were not proposed, if it was asked for them."""
        preferred, secondary = (
            [slot for slot in slots if slot not in proposed] for slots in (self.member.preferred, self.member.secondary)
        )
        return [
            self._say(wording().available, preferred) if asks_openly else "",
            self._say(wording().backup, secondary) if asks_for_more else "",
        ]

    def _offer(self, within: Sequence[Slot], *, asks_for_more: bool) -> str:
        """Names its slots within the intervals that the agent asked about."""
        liked = [slot for slot in within if slot in self.member.preferred]
        possible = [slot for slot in within if slot in self.member.secondary]
        if liked and not asks_for_more:
            possible = []
        if liked or possible:
            return _joined([self._say(wording().available, liked), self._say(wording().backup, possible)])
        return _joined([self._say(wording().none_of_many), self._instead((), asks_for_more=asks_for_more)])

    def _list(self, *, asks_for_more: bool) -> str:
        """Names its times when no particular ones were asked for."""
        member = self.member
        parts = [self._say(wording().available, member.preferred)]
        if asks_for_more or not member.preferred:
            parts.append(self._say(wording().backup, member.secondary) or self._say(wording().no_backup))
        elif member.secondary and not member.stubborn:
            parts.append(self._say(wording().more_if_needed))
        return _joined(parts)

    def _instead(self, declined: Sequence[Slot], *, asks_for_more: bool) -> str:
        """Offers its other times instead of the declined ones."""
        member = self.member
        own = member.slots if asks_for_more or not member.preferred else member.preferred
        parts = [self._say(wording().instead, [slot for slot in own if slot not in declined])]
        if member.secondary and not member.stubborn and not asks_for_more:
            parts.append(self._say(wording().more_if_needed))
        parts.append(self._say(wording().required if member.essential else wording().skip))
        return _joined(parts)

    def _say(self, wordings: Sequence[str], slots: Sequence[Slot] | None = None, conjunction: str = "and") -> str:
        """Returns one of these sentences; empty when *slots* is empty."""
        if slots is None:
            return self.rng.choice(wordings)
        if not slots:
            return ""
        return self.rng.choice(wordings).format(slots=join_slots(slots, conjunction))


def make_user(scenario: Scenario[MeetingTruth], name: str, rng: RandomGenerator) -> MeetingUser:
    """Returns the rule-based user for one principal of a scenario."""
    member = next(member for member in scenario.truth.members if member.name == name)
    return MeetingUser(member, rng, next(entry.text for entry in scenario.openings if entry.sender == name))


def _joined(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)
