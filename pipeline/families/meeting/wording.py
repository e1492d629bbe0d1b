"""What principals of the meeting family say.

Tables only.  ``{slots}`` is a list of times, ``{name}`` the speaker.  No sentence that declines has a time in it which
the speaker can do, and none that accepts has a word of refusal, so that what somebody agreed to can be read off again.
"""

from collections.abc import Sequence

from pipeline.families.meeting.slots import Slot

GREETINGS = (
    "Hello, {name} here.",
    "Hi, this is {name}. I have joined.",
    "Good day, {name} speaking, ready when you are.",
    "{name} here. Let me know what you need from me.",
)
OPENINGS = (
    "Hello, {name} here. These times suit me best: {slots}.",
    "Hi, this is {name}. I would like one of these: {slots}.",
    "{name} here. My calendar is open on {slots}.",
    "Good day, this is {name}. I am free on {slots}.",
)
NOTHING_PREFERRED = (
    "Hello, {name} here. My week is full, so ask me about any time you have in mind.",
    "{name} here. I have no favourite time this week, just propose something.",
)
MORE_IF_NEEDED = (
    "There is some more room in my week if those do not fit.",
    "I can shift a few things if that helps.",
    "Should this be hard to match, ask me for further times.",
)
AVAILABLE = (
    "I can do {slots}.",
    "These suit me: {slots}.",
    "My best times are {slots}.",
    "Happy to meet on {slots}.",
)
BACKUP = (
    "If it has to be, I could also make {slots} work.",
    "As a fallback I can offer {slots}.",
    "With some juggling I can do {slots} as well.",
)
NO_BACKUP = (
    "I have looked again and cannot free up anything else.",
    "That is all I can offer this week, sorry.",
)
ACCEPTED = (
    "Yes to {slots}.",
    "{slots} works for me.",
    "Count me in for {slots}.",
    "{slots} is fine with me.",
)
ACCEPTED_RELUCTANTLY = (
    "{slots} is my second choice, and I would come.",
    "{slots} takes some juggling, still I can make it.",
    "I would rather have another time, yet I agree to {slots}.",
)
DECLINED = (
    "I cannot make {slots}.",
    "{slots} does not work for me.",
    "Sorry, I am busy on {slots}.",
)
NONE_OF_MANY = (
    "I cannot make any of those times.",
    "All of those are taken in my calendar, sorry.",
)
REST_DECLINED = (
    "The other times are taken.",
    "I am busy at the remaining ones.",
)
INSTEAD = (
    "What I can offer: {slots}.",
    "Could we look at {slots}?",
    "I would be free on {slots}.",
)
SKIP = (
    "My part is optional, so please go ahead without me if need be.",
    "Please do not wait for me; I am glad to read the minutes.",
)
REQUIRED = (
    "I have to be there, so please find another time.",
    "The meeting needs me, as far as I know.",
)
NOTED = (
    "Thanks for letting me know.",
    "All right, I will wait to hear from you.",
    "Understood. Tell me when you need something from me.",
)


def listed(slots: Sequence[Slot], conjunction: str) -> str:
    """Times as people enumerate them: ``Mon 9:00, Tue 10:30 and Fri 14:00``."""
    *others, last = map(str, slots)
    return f"{', '.join(others)} {conjunction} {last}" if others else last
