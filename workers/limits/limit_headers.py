"""Limits that providers report in the headers of their responses.

The table of providers has the names of the headers; all limits are per minute.  Some providers report requests per day
in the same header; they refuse earlier than the header says, and the learner follows the refusals.
"""

import math
from collections.abc import Iterable, Mapping
from functools import cache

from muses_eval.pipeline.config.endpoint import Limits
from muses_eval.pipeline.providers import PROVIDERS


def limits_from_headers(headers: Mapping[str, str]) -> Limits | None:
    """Returns the limits in *headers*; None when there are none.  Names are looked up in lower case."""
    request_names, token_names = _header_names()
    requests, tokens = _first(headers, request_names), _first(headers, token_names)
    return None if requests is None and tokens is None else Limits(requests, tokens)


@cache
def _header_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of all providers, for requests and for tokens."""
    named = [provider.limit_headers for provider in PROVIDERS.values()]
    return tuple(dict.fromkeys(one.requests for one in named)), tuple(dict.fromkeys(one.tokens for one in named))


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    found = (_positive(headers.get(name)) for name in names)
    return next((value for value in found if value is not None), None)


def _positive(text: str | None) -> float | None:
    """Parses a number above 0; anything else is no limit."""
    try:
        value = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


class HeaderLimits:
    """The smallest limits of the last one to two minutes; models of one account may report different ones."""

    def __init__(self) -> None:
        self._minutes: dict[int, Limits] = {}

    def note(self, limits: Limits, now: float) -> None:
        """Adds limits and forgets those of more than two minutes ago, so that a raised limit is followed."""
        minute = int(now // 60)
        kept = {at: seen for at, seen in self._minutes.items() if at >= minute - 1}
        kept[minute] = smallest_limits((limits, kept.get(minute, limits)))
        self._minutes = kept

    @property
    def limits(self) -> Limits:
        return smallest_limits(self._minutes.values())


def smallest_limits(several: Iterable[Limits]) -> Limits:
    """Returns the smallest value of each limit; None where none is set."""
    several = tuple(several)
    return Limits(
        min((limits.requests_per_minute for limits in several if limits.requests_per_minute is not None), default=None),
        min((limits.tokens_per_minute for limits in several if limits.tokens_per_minute is not None), default=None),
        min((limits.concurrency for limits in several if limits.concurrency is not None), default=None),
    )
