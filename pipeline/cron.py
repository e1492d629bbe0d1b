"""Validates cron expressions when the configuration is read.

An accepted expression is one that Prefect runs: five fields with numbers, names of months and weekdays, ``*``, ranges,
steps and lists.  The other forms of cronsim (``L``, ``LW``, ``MON#2``, a field for seconds) are refused, because
Prefect interprets them differently.
"""

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_WORD = re.compile(r"\*|\d+|[a-z]{3}", re.ASCII | re.IGNORECASE)
_START = datetime(2000, 1, 1, tzinfo=UTC)
"""An arbitrary date; cronsim searches the 50 years after it."""
_EXPECTED = (
    "expected five fields, such as '0 2 * * *': minute 0-59, hour 0-23, day of month 1-31 "
    "(in at least one of the months), month 1-12 or jan-dec, day of week 0-7 or sun-sat; "
    "each is a number, *, a range such as 1-5, a step such as */2 or a list such as 1,15"
)


def cron_problem(text: str) -> str | None:
    """Returns the problem of an expression and what was expected, or None when the expression is valid."""
    fields = text.split()
    if len(fields) != 5:
        return f"number of fields: {len(fields)}; {_EXPECTED}"
    for field in fields:
        if not all(_WORD.fullmatch(word) for word in re.split("[,/-]", field)):
            return f"bad {field!r}; {_EXPECTED}"
    # Prefect never runs a schedule for a day that none of its months has, even when the schedule names a weekday too.
    any_weekday = " ".join([*fields[:4], "*"])
    try:
        for expression in (text, any_weekday):
            next(CronSim(expression, _START))
    except CronSimError as error:
        return f"{str(error).lower()}; {_EXPECTED}"
    except StopIteration:
        return f"it never fires; {_EXPECTED}"
    return None
