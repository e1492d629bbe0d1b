"""Cron expressions, checked when the configuration is read.

Prefect fires what is accepted here: five fields of numbers, names of months and weekdays, ``*``, ranges, steps and
lists.  cronsim's further forms (``L``, ``LW``, ``MON#2``, a field for seconds) are refused: Prefect reads them
differently.
"""

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_WORD = re.compile(r"\*|\d+|[a-z]{3}", re.ASCII | re.IGNORECASE)
_START = datetime(2000, 1, 1, tzinfo=UTC)
"""Any date serves: cronsim looks 50 years ahead."""
_EXPECTED = (
    "expected five fields, as '0 2 * * *': minute 0-59, hour 0-23, day of month 1-31 (one that a chosen month has), "
    "month 1-12 or jan-dec, day of week 0-7 or sun-sat; "
    "each of them a number, *, a range as 1-5, a step as */2 or a list as 1,15"
)


def cron_problem(text: str) -> str | None:
    """What is wrong with an expression and what was expected; None when Prefect fires it."""
    fields = text.split()
    if len(fields) != 5:
        return f"number of fields: {len(fields)}; {_EXPECTED}"
    for field in fields:
        if not all(_WORD.fullmatch(word) for word in re.split("[,/-]", field)):
            return f"bad {field!r}; {_EXPECTED}"
    # Prefect never fires on a day that no chosen month has, not even when a weekday is named beside it.
    any_weekday = " ".join([*fields[:4], "*"])
    try:
        for expression in (text, any_weekday):
            next(CronSim(expression, _START))
    except CronSimError as error:
        return f"{str(error).lower()}; {_EXPECTED}"
    except StopIteration:
        return f"it never fires; {_EXPECTED}"
    return None
