"""Generates meeting scenarios.

The ground truth follows from the construction: every scenario is planned around one slot, its target.

* ``consensus``: all principals prefer the target.
* ``negotiation``: all can attend it, some only as a second choice, and no slot is preferred by all.
* ``partial``: all essential principals prefer it, and at least one optional principal cannot attend any feasible slot.

Any other slot that all essential principals can attend is at most as good for every principal, so the target is
optimal by every metric.

Rows 2k and 2k+1 are the same problem with both disclosures, which can so be compared in pairs.  Row i depends only on
(seed, i), so a larger dataset begins with the rows of a smaller one.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from muses_eval.pipeline.datasets.personas import Persona, draw_personas, persona_entry
from muses_eval.pipeline.datasets.user_counts import user_count_at
from muses_eval.pipeline.episode.serialization import describe
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.meeting.scenario import DIFFICULTIES, DISCLOSURES, PRESENCE_LINE, REQUIRED
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.hashing import digest

PAPER_USER_COUNTS = range(2, 11)
"""Numbers of users in the paper's scenarios, each equally often."""

GRID = tuple(
    Slot(day, hour * 60 + minute) for day in range(5) for hour in (9, 10, 11, 13, 14, 15, 16) for minute in (0, 30)
)

_ESSENTIAL_SHARE = 0.47
_MOST_SECOND_CHOICES = 3
"""Maximum number of principals for whom the target of a negotiation is a second choice.  With more of them, a slot that
an essential principal cannot attend could have more points than the target."""
_TOPICS = (
    "the budget for the next quarter",
    "the move to the new office",
    "the review of last month's outage",
    "the hiring plan",
    "the launch date of the customer portal",
    "the supplier contract",
    "the roadmap for the spring",
    "the results of the staff survey",
    "the audit findings",
    "the merger of the two support desks",
    "the training programme",
    "the travel policy",
)

_RULES = f"""\
HOW TO PROCEED
- You are the organiser and speak for nobody else. Never claim that somebody can come who has not said so.
- Ask for the times you do not know yet. Everybody answers you in private.
- A time that people prefer is better than one that is their second choice, so ask for second choices when the \
preferred times do not meet.
- Whoever is required has to be there. When no time suits everybody, optional people may be left out.

HOW MESSAGES ARRIVE
{describe("xml")}

HOW TO ANSWER
To write to somebody, use a JSON object; you may send several, one after the other:
{{
  "target": "a name, or all",
  "content": "what you want to say",
  "decision": "query or propose"
}}

HOW TO FINISH
As soon as everybody who is needed has agreed to a time, send this object and nothing else:
{{
  "goal_achieved": true,
  "final_schedule": "[weekday and time]",
  "attendees": ["the names", "of those who come"],
  "final_report": "one sentence that tells everybody the result"
}}
It ends the conversation at once.
"""


@dataclass(slots=True)
class _Calendar:
    """The calendar of one principal while the scenario is planned."""

    person: Persona
    essential: bool
    stubborn: bool
    preferred: set[Slot] = field(default_factory=set)
    secondary: set[Slot] = field(default_factory=set)

    def level(self, slot: Slot) -> int:
        """Returns 2 for a preferred slot, 1 for a second choice, 0 for an impossible one."""
        return 2 if slot in self.preferred else int(slot in self.secondary)

    def mark(self, slot: Slot, level: int) -> None:
        self.preferred.discard(slot)
        self.secondary.discard(slot)
        if level:
            (self.preferred if level == 2 else self.secondary).add(slot)


def generate(count: int, seed: int, user_counts: range = PAPER_USER_COUNTS) -> Iterator[Row]:
    """Yields *count* rows in the published format; 216 rows have 4 of each user count, disclosure and difficulty."""
    return (_row(seed, index, user_counts) for index in range(count))


def _row(seed: int, index: int, user_counts: range) -> Row:
    problem, half = divmod(index, len(DISCLOSURES))
    rng = random.Random(f"meeting:{seed}:{problem}")
    kind, difficulty = divmod(problem, len(DIFFICULTIES))
    users = user_count_at(user_counts, kind + len(DIFFICULTIES) * difficulty)
    target, calendars = _plan(rng, DIFFICULTIES[difficulty], users)
    topic = rng.choice(_TOPICS)
    early = _early_speakers(rng, calendars)
    proactive = early if DISCLOSURES[half] == "partial" else [c.person.name for c in calendars]
    prompt = _prompt(topic, calendars)
    row: dict[str, object] = {
        "scenario": "MeetingScheduling_Generated",
        "difficulty": DIFFICULTIES[difficulty],
        "disclosure_mode": DISCLOSURES[half],
        "users": [_user(topic, calendar, proactive=calendar.person.name in proactive) for calendar in calendars],
        "system_prompt": prompt,
        "prompt": prompt,
        "params": {
            "all_users": [calendar.person.name for calendar in calendars],
            "essential_users": [calendar.person.name for calendar in calendars if calendar.essential],
            "optimal_solution": str(target),
            "proactive_users": proactive,
        },
    }
    return {"id": f"gm_{seed}_{problem}_{DISCLOSURES[half]}_{digest(row)[:8]}", **row}


def _plan(rng: random.Random, difficulty: str, users: int) -> tuple[Slot, tuple[_Calendar, ...]]:
    """Draws the target and all calendars, until every principal has a preferred slot."""
    while True:
        target = rng.choice(GRID)
        calendars = _people(rng, users, all_essential=difficulty != "partial")
        levels = _levels(rng, difficulty, calendars)
        for calendar in calendars:
            _fill(rng, calendar, target)
        _add_popular_slots(rng, calendars, target)
        for calendar, level in zip(calendars, levels, strict=True):
            calendar.mark(target, level)
        _keep_target_best(calendars, target)
        if all(calendar.preferred for calendar in calendars):
            return target, calendars


def _people(rng: random.Random, users: int, *, all_essential: bool) -> tuple[_Calendar, ...]:
    """Draws principals, at least one of them essential; unless *all_essential*, at least one is optional."""
    drawn = sum(rng.random() < _ESSENTIAL_SHARE for _ in range(users))
    essential = min(max(drawn, 1), users if all_essential else users - 1)
    flags = rng.sample([True] * essential + [False] * (users - essential), users)
    people = draw_personas(rng, users)
    return tuple(_Calendar(p, flag, rng.random() < 0.5) for p, flag in zip(people, flags, strict=True))


def _levels(rng: random.Random, difficulty: str, calendars: Sequence[_Calendar]) -> list[int]:
    """Draws the level of the target for each principal, as in :meth:`_Calendar.level`."""
    levels = [2] * len(calendars)
    essential = [index for index, calendar in enumerate(calendars) if calendar.essential]
    optional = [index for index in range(len(calendars)) if index not in essential]
    if difficulty == "negotiation":  # any time of a single essential principal could otherwise beat the target
        pool = optional if len(essential) == 1 else [*essential, *optional]
        for index in rng.sample(pool, rng.randint(1, min(len(pool), _MOST_SECOND_CHOICES))):
            levels[index] = 1
    elif difficulty == "partial":
        for index in optional:
            levels[index] = rng.randint(0, 2)
        levels[rng.choice(optional)] = 0
    return levels


def _fill(rng: random.Random, calendar: _Calendar, target: Slot) -> None:
    """Adds random times, as many as in the published set."""
    others = [slot for slot in GRID if slot != target]
    preferred = min(max(round(rng.gauss(4.6, 1.8)), 2), 9)
    secondary = min(max(round(rng.gauss(1.3, 1.1)), 0), 6)
    drawn = rng.sample(others, preferred + secondary)
    calendar.preferred.update(drawn[:preferred])
    calendar.secondary.update(drawn[preferred:])


def _add_popular_slots(rng: random.Random, calendars: Sequence[_Calendar], target: Slot) -> None:
    """Adds slots that suit most principals, so that the target is not the only common one."""
    for slot in rng.sample([slot for slot in GRID if slot != target], rng.randint(1, 2)):
        for calendar in calendars:
            if rng.random() < 0.5:
                calendar.mark(slot, rng.choice((2, 2, 1)))
    if rng.random() < 0.2:
        worse = rng.choice([slot for slot in GRID if slot != target])
        for calendar in calendars:
            calendar.mark(worse, 1 if calendar.essential else rng.randint(0, 1))


def _keep_target_best(calendars: Sequence[_Calendar], target: Slot) -> None:
    """Removes each slot that would beat the target from the calendars of the principals who prefer it."""
    for slot in GRID:
        if slot != target and all(calendar.level(slot) for calendar in calendars if calendar.essential):
            for calendar in calendars:
                if calendar.level(slot) > calendar.level(target):
                    calendar.mark(slot, 0)


def _early_speakers(rng: random.Random, calendars: Sequence[_Calendar]) -> list[str]:
    """Draws the principals that name their times without being asked: at least one, never all."""
    names = [calendar.person.name for calendar in calendars]
    chosen = set(rng.sample(names, rng.randint(1, max(1, len(names) * 3 // 5))))
    return [name for name in names if name in chosen]


def _user(topic: str, calendar: _Calendar, *, proactive: bool) -> Mapping[str, object]:
    person = calendar.person
    preferred, secondary = (list(map(str, sorted(slots))) for slots in (calendar.preferred, calendar.secondary))
    return {
        "id": person.name,
        "role": person.role,
        "authority": person.authority,
        "is_essential": calendar.essential,
        "preferred_slots": preferred,
        "secondary_slots": secondary,
        "xml_persona_entry": persona_entry(person),
        "goal": _goal(topic, calendar, preferred, secondary, proactive=proactive),
        "is_stubborn": calendar.stubborn,
    }


def _goal(
    topic: str, calendar: _Calendar, preferred: Sequence[str], secondary: Sequence[str], *, proactive: bool
) -> str:
    person = calendar.person
    presence = "required" if calendar.essential else "optional"
    beginning = (
        "Name all your preferred times in your first message."
        if proactive
        else "Only say hello in your first message; give your times when you are asked for them."
    )
    manner = (
        "You do not like to move things. Speak of your second choices only when you are asked for further times, "
        "or for one of them, or when nothing else is left."
        if calendar.stubborn
        else "You are easy to deal with. Offer your preferred times, say that there are more, and give them when asked."
    )
    leave = "" if calendar.essential else "\nIf no time suits everybody, offer to stay away."
    return (
        f"You play {person.name}, {person.role}. An assistant is to find a time for a meeting on {topic}; "
        f"you are {presence}.\n"
        f"Times you prefer: {', '.join(preferred)}.\n"
        f"Second choices: {', '.join(secondary) or 'none'}.\n"
        f"You cannot come at any other time. {beginning}\n{manner}{leave}\n"
    )


def _prompt(topic: str, calendars: Sequence[_Calendar]) -> str:
    presence = "\n".join(
        PRESENCE_LINE.format(name=calendar.person.name, presence=REQUIRED if calendar.essential else "optional")
        for calendar in calendars
    )
    return (
        f"You organise a meeting on {topic} for a group of colleagues. Find a weekday and a time from Monday to Friday "
        f"that suits them, and announce it.\n\n"
        f"WHO IS TO MEET\n{presence}\n\n"
        f"WHAT IS KNOWN OF THEM\n" + "\n".join(persona_entry(calendar.person) for calendar in calendars) + "\n\n"
        f"{_RULES}"
    )
