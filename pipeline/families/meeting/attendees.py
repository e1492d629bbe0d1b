"""Reads who is invited from an attendee list in any form: names, sentences, answers by name, groups by answer.

Everybody on the list is invited, required or optional, also who has not answered yet.  Those whom it calls absent, or
who declined, are not.  Phrases such as "everyone except Ann" are understood.  The words are in
``attendees.toml``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

from muses_eval.pipeline.families.meeting.clock_words import any_of
from muses_eval.pipeline.families.meeting.folded_text import folded
from muses_eval.pipeline.families.meeting.name_mentions import Mention, mentions, names_in
from muses_eval.pipeline.families.meeting.struck_text import without_struck_text
from muses_eval.pipeline.word_tables import read_word_table

_MAX_DEPTH = 5
"""Levels of nesting that are read."""
_MAX_ENTRIES = 1_000
"""Entries of a list or object that are read."""
_MAX_VALUES = 3_000
"""Values of all levels that are read, which bounds the work."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\W]+")
_LIST_LINK = re.compile(r"[\s,/&+@*\"'`]*(?:(?:,\s*)?(?:and|or|nor|und|oder|et|ou|y|o|e|en|и|和|と)\s)?[\s@*\"'`]*")
_AND_LINK = re.compile(r"\s*(?:and|&|or|und|et|y|e|en|и|和)\s*")
_TAIL_END = re.compile(r"[,;|\n]|\.\s|\s(?:and|but|while|und|aber|et|mais|y|pero)\s")
_OPENING = re.compile(r"[\s*_\"'`]*[(\[]")
_LISTING = re.compile(r"[:(\[=–—-]")
_HEADING = re.compile(r"([^\W\d_][\w' -]{0,30}?)[\s*_]*(?:\(\d+\)\s*)?(?:[:=]|\s[–—-]\s)")
_GROUP_END = re.compile(r"[;\n)]|\.\s|\|")
_SHORT = 3
"""Length of words such as "no" and "out", which are headings only by themselves."""
_CROSS = re.compile(r"[❌✗✘❎👎🚫]")


_Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttendeeWords:
    """All tables of ``attendees.toml``."""

    everybody: _Words
    all_of: _Words
    including: _Words
    excluding: _Words
    but: _Words
    declining: _Words
    recovered: _Words
    coming: _Words
    no: _Words
    harmless: _Words
    absent: _Words
    remarks: _Words
    names: _Words
    statuses: _Words


@dataclass(slots=True)
class _List:
    """What has been read of an attendee list."""

    names: Sequence[str]
    invited: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)
    everybody: bool = False
    left: int = _MAX_VALUES
    """Number of values that may still be read."""
    without: bool = False
    """True when a text names only who does not come: "without Ann"."""

    def result(self) -> tuple[str, ...]:
        invited = set(self.names) if self.everybody or (self.without and not self.invited) else self.invited
        return tuple(name for name in self.names if name in invited and name not in self.excluded)


def parse_attendees(value: object, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the principals in an attendee list; all when the value is empty or not a list, string or object."""
    if not value or not isinstance(value, (str, list, dict)):
        return tuple(names)
    found = _List(names)
    _read(value, found, _MAX_DEPTH, absent=False)
    return found.result()


def has_declined(status: object) -> bool:
    """Returns whether an answer, such as a string or a boolean, says that somebody does not come."""
    if isinstance(status, str):
        plain = folded(status).strip()
        return bool(_patterns().no.fullmatch(plain)) or _declines(plain)
    if isinstance(status, dict):
        return _declined_in(status)
    return status is not None and not isinstance(status, list) and not status


def _read(value: object, found: _List, depth: int, *, absent: bool) -> None:
    """Adds what a value says; *absent*: those whom it names do not come."""
    found.left -= 1
    if found.left < 0:
        return
    if isinstance(value, str):
        _read_text(value, found, absent=absent)
    elif isinstance(value, list) and depth:
        _read_list(value, found, depth, absent=absent)
    elif isinstance(value, dict) and depth:
        _read_object(value, found, depth, absent=absent)


def _read_list(entries: list[object], found: _List, depth: int, *, absent: bool) -> None:
    match entries:
        case [str(name), (str() | bool()) as status] if has_declined(status) and not _names_of(status, found):
            _add(_names_of(name, found), found, absent=True)
        case _:
            for entry in entries[:_MAX_ENTRIES]:
                _read(entry, found, depth - 1, absent=absent)


def _read_object(value: Mapping[str, object], found: _List, depth: int, *, absent: bool) -> None:
    person = next((names for key in _keys(value, "names") if (names := _names_of(value[key], found))), ())
    if person:
        _add(person, found, absent=absent or _declined_in(value))
        return
    unanswered = all(says is None for says in value.values())
    for key, says in islice(value.items(), _MAX_ENTRIES):
        named = names_in(folded(key), found.names)
        words = _words_of(key)
        if named:
            declined = has_declined(says) or (says is None and not unanswered)
            _add(named, found, absent=absent or declined)
        elif _is_absent(words):
            _read(list(says) if isinstance(says, dict) else says, found, depth - 1, absent=True)
        elif words not in _tables()["remarks"]:
            if says is True and _patterns().everybody.search(words):
                found.everybody = not absent
            _read(says, found, depth - 1, absent=absent)


def _names_of(value: object, found: _List) -> tuple[str, ...]:
    return names_in(folded(value), found.names) if isinstance(value, str) else ()


def _declined_in(value: Mapping[str, object]) -> bool:
    """Returns whether the object of a person says that the person does not come."""
    if any(has_declined(value[key]) for key in _keys(value, "statuses")):
        return True
    return any(value[key] is True for key in _keys(value, "absent"))


def _keys(value: Mapping[str, object], table: str) -> Iterator[str]:
    words = _tables()[table]
    return (key for key in islice(value, _MAX_ENTRIES) if _words_of(key) in words)


def _words_of(key: str) -> str:
    """Returns a key as words: ``notAttending`` and ``not_attending`` are "not attending"."""
    return folded(" ".join(_CAMEL.split(key[:60]))).strip()


def _add(names: Iterable[str], found: _List, *, absent: bool) -> None:
    (found.excluded if absent else found.invited).update(names)


def _read_text(text: str, found: _List, *, absent: bool) -> None:
    """Adds what a phrase or a sentence says."""
    plain = without_struck_text(folded(text))
    named = list(mentions(plain, found.names))
    gone = _absent_mentions(plain, named)
    present = [one for one, is_gone in zip(named, gone, strict=True) if not is_gone]
    if absent:
        found.excluded.update(one.name for one in named)
        return
    found.excluded.update(one.name for one, is_gone in zip(named, gone, strict=True) if is_gone)
    found.invited.update(one.name for one in present)
    everybody = _patterns().everybody.search(plain)
    if everybody is None:
        found.without |= bool(named) and not present and _patterns().excluding.match(plain.lstrip(" (-")) is not None
    elif everybody.group() == "both" and len(found.names) != 2:
        return
    elif not _lists_names(plain, everybody.end(), present):
        found.everybody = True


def _lists_names(text: str, position: int, present: Sequence[Mention]) -> bool:
    """Returns whether names after a word such as "everyone" say who that is: "everyone who replied: Ann and Bob"."""
    first = next((one for one in present if one.start >= position), None)
    if first is None:
        return False
    between = text[position : first.start]
    return _LISTING.search(between) is not None and _patterns().including.search(between) is None


def _absent_mentions(text: str, named: Sequence[Mention]) -> list[bool]:
    """Returns for each mention whether the text says that this principal does not come."""
    gone: list[bool] = []
    run = heading = False
    end = 0
    for index, one in enumerate(named):
        gap = text[end : one.start]
        following = named[index + 1].start if index + 1 < len(named) else len(text)
        heading = _heading(gap, heading)
        run = bool(_patterns().excluding_before.search(gap)) or (
            run and index > 0 and _LIST_LINK.fullmatch(gap) is not None
        )
        if not run and _patterns().but.search(gap):
            run = _patterns().everybody.search(text[: one.start]) is not None
        tail = _tail(text[one.end : following])
        declined = _patterns().no_tail.fullmatch(tail) is not None or _declines(tail)
        if declined and index and gone and _AND_LINK.fullmatch(gap) and not _OPENING.match(tail) and tail[:1] == " ":
            gone[-1] = True
        gone.append(run or heading or declined)
        end = one.end
    return gone


def _heading(gap: str, current: bool) -> bool:
    """Returns whether the names after a gap stand under a heading such as "Declined:"."""
    headings = _HEADING.findall(gap)
    return _is_absent(_words_of(headings[-1])) if headings else current and _GROUP_END.search(gap) is None


def _is_absent(words: str) -> bool:
    """Returns whether a key or heading is above those who do not come, such as "optional declined"."""
    first, _, rest = words.partition(" ")
    return words in _tables()["absent"] or (bool(first) and len(rest) > _SHORT and rest in _tables()["absent"])


def _tail(text: str) -> str:
    """Returns what a text says of the name before it: the brackets or the phrase that follow directly."""
    opening = _OPENING.match(text)
    if opening is not None:
        closing = re.search(r"[)\]]", text)
        inside = text[: closing.start()] if closing else text
        rest = text[closing.end() :] if closing else ""
        return inside if _declines(inside) or not rest.strip() else inside + _tail_phrase(rest)
    return _tail_phrase(text)


def _tail_phrase(text: str) -> str:
    end = _TAIL_END.search(text)
    return text[: end.start()] if end else text


def _declines(text: str) -> bool:
    plain = _patterns().recovered.sub("", _patterns().harmless.sub("", text))
    return _patterns().declining.search(plain) is not None or _CROSS.search(plain) is not None


@dataclass(frozen=True, slots=True)
class _Patterns:
    everybody: re.Pattern[str]
    including: re.Pattern[str]
    excluding: re.Pattern[str]
    excluding_before: re.Pattern[str]
    but: re.Pattern[str]
    declining: re.Pattern[str]
    harmless: re.Pattern[str]
    recovered: re.Pattern[str]
    """A refusal that is taken back."""
    no: re.Pattern[str]
    no_tail: re.Pattern[str]


@cache
def attendee_words() -> AttendeeWords:
    """Returns the words, which are read once per process."""
    return read_word_table(AttendeeWords, __package__, "attendees.toml")


@cache
def _tables() -> Mapping[str, frozenset[str]]:
    words = attendee_words()
    return {name: frozenset(map(folded, getattr(words, name))) for name in ("absent", "remarks", "names", "statuses")}


@cache
def _patterns() -> _Patterns:
    words = attendee_words()
    excluding, no = any_of(words.excluding), any_of(words.no)
    return _Patterns(
        everybody=re.compile(rf"{any_of(words.everybody)}|\ball(?=\s*(?:\Z|[^\w\s]|\d|{any_of(words.all_of)}))"),
        including=re.compile(any_of(words.including)),
        excluding=re.compile(excluding),
        excluding_before=re.compile(rf"(?:{excluding}\s*[\s:(\"'@*]*(?:\w+\s+){{0,3}}|\bno\s+)[\"'@*]*$"),
        but=re.compile(rf"{any_of(words.but)}\s+(?:\w+\s+){{0,2}}[\"'@*]*$"),
        declining=re.compile(any_of(words.declining)),
        harmless=re.compile(any_of(words.harmless)),
        recovered=re.compile(
            rf".{{0,80}}{any_of(words.recovered)}\s+(?:has |is |did )?{any_of(words.coming)}", re.DOTALL
        ),
        no=re.compile(rf"\W*{no}\W*|\W*[❌✗✘❎👎🚫]\W*"),
        no_tail=re.compile(rf"[\s*_\"'`)\]]*[:=(\[–—>→,-]+[\s*_\"'`]*{no}[\s*_\"'`.!)\]]*"),
    )
