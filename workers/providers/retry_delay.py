"""The pause that a server asks for before the next attempt: in a header, or in the text of its error."""

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 24 * 3600.0

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = r"\d{1,9}(?:\.\d{1,9})?"
_DURATION = re.compile(rf"(?:{_PART}(?:ms|h|m|s))+")
_PARTS = re.compile(rf"({_PART})(ms|h|m|s)")
_ASKED = re.compile(
    rf"(?:try again|retry)(?: in| after)(?: about)? (?:((?:{_PART} ?(?:ms|h|m|s))+)(?![a-z])|({_PART}) ?seconds?)",
    re.IGNORECASE,
)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Returns the seconds that the headers of a refusal ask to wait.

    Read are ``retry-after-ms``; ``Retry-After`` in seconds, as a duration (``2s``) or as a date; and the time at which
    a limit that has nothing left is reset (``x-ratelimit-reset-requests``, ``-tokens``).  Never negative and at most a
    day; None when none of them is present and valid.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return _bounded(seconds * unit)
    text = headers.get("retry-after", "")
    seconds = duration_s(text)
    if seconds is not None:
        return seconds
    date_s = _date(text)
    return _until_reset(headers) if date_s is None else _bounded(date_s - now)


def asked_pause(text: str) -> float | None:
    """Returns the seconds that the text of an error asks to wait, as in ``Please retry in 3.5s``; None without any."""
    found = _ASKED.search(text)
    if found is None:
        return None
    return duration_s(found[1].replace(" ", "")) if found[1] else _bounded(float(found[2]))


def duration_s(text: object) -> float | None:
    """Returns the seconds of a duration such as ``3.5s``, ``250ms`` or ``1m2.5s``; None for anything else."""
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip().lower()):
        return None
    return _bounded(sum(float(number) * _UNITS_S[unit] for number, unit in _PARTS.findall(text.lower())))


def _until_reset(headers: Mapping[str, str]) -> float | None:
    kinds = [kind for kind in ("requests", "tokens") if _number(headers.get(f"x-ratelimit-remaining-{kind}")) == 0]
    resets = (duration_s(headers.get(f"x-ratelimit-reset-{kind}")) for kind in kinds)
    return max((seconds for seconds in resets if seconds is not None), default=None)


def _date(text: str) -> float | None:
    """Returns the seconds since the epoch of a date in the form of HTTP."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (date.replace(tzinfo=UTC) if date.tzinfo is None else date).timestamp()


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
