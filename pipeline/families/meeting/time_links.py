"""The words that link days and times: "at", "on", "between", "and", "to", as patterns for folded texts."""

import re
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.families.meeting.clock_words import any_of, clock_words


@dataclass(frozen=True, slots=True)
class TimeLinks:
    """Patterns of the words that link days and times."""

    lead: re.Pattern[str]
    """Between a day and its time."""
    hour_lead: re.Pattern[str]
    """Before a number that is a time."""
    on: re.Pattern[str]
    """Between a time and the day that follows."""
    conjunction: re.Pattern[str]
    to: re.Pattern[str]
    between: re.Pattern[str]
    after: re.Pattern[str]
    before: re.Pattern[str]
    lasting: re.Pattern[str]
    date_number: re.Pattern[str]
    counted: re.Pattern[str]
    """After a number that is not a time."""
    morning: re.Pattern[str]
    afternoon: re.Pattern[str]


@cache
def time_links() -> TimeLinks:
    words = clock_words().words
    parts = clock_words().parts
    at, on, conjunction = any_of(words.at), any_of(words.on), any_of(words.conjunctions)
    unit = any_of(words.hour_units)
    part = any_of((*parts.am, *parts.pm, *parts.midday))
    to, between = any_of(words.to), any_of(words.between)
    after, before = any_of(words.after), rf"(?:{any_of(words.before)}|(?<!ed )\bby)"
    leads = rf"{at}|{part}|{between}|{after}|{before}|of this week|this week|in the|the|any ?time|week \d\d?|日|의"
    return TimeLinks(
        lead=re.compile(rf"[\s.,:;()@*_'\"`\[\]|/–—-]*(?:(?:{leads})[\s,:*.]*){{0,3}}"),
        hour_lead=re.compile(
            rf"(?:\bat|@|\baround|\bfrom|{between}|{after}|{before}|\bum|\bab|\ba las|\balle|\bom|\bvanaf)\s*$"
        ),
        on=re.compile(rf"[\s,]*(?:{unit}[\s,]*)?(?:{on}\s*){{1,2}}(?:the |this |next |coming )?"),
        conjunction=re.compile(rf"[\s.]*(?:,|/|&|、|{conjunction}|,\s*{conjunction})\s*"),
        to=re.compile(rf"[ \t]*(?:{unit}[ \t]*)?(?:-|–|—|~|～|から|부터|{to})[ \t]*"),
        between=re.compile(rf"{between}\s*(?:\w{{1,3}}\s)?$"),
        after=re.compile(rf"{after}\s*$"),
        before=re.compile(rf"{before}\s*$"),
        lasting=re.compile(rf"(?:{any_of(words.lasting)}[\s:=]*|\+\s?)$"),
        date_number=re.compile(rf"[\s,.]*(?:{at}\s*)?"),
        counted=re.compile(rf"\s?(?:/\s?\d|{any_of(words.counted)}|-\s?min)"),
        morning=re.compile(rf"[\s,]*(?:in the )?(?:{any_of(parts.am)})"),
        afternoon=re.compile(rf"[\s,]*(?:in the )?(?:{any_of(parts.pm)})"),
    )
