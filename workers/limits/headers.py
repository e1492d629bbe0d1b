"""What providers tell of their limits in the headers of their responses.

Their names stand in the table of providers; all of them mean a minute.  Whoever means a day by them (some do for
requests) refuses earlier than they say, and refusals are learned from.
"""

import math
from collections.abc import Iterable, Mapping

from pipeline.config.endpoint import Limits
from pipeline.providers import PROVIDERS

_REQUESTS = tuple(dict.fromkeys(provider.limit_headers.requests for provider in PROVIDERS.values()))
_TOKENS = tuple(dict.fromkeys(provider.limit_headers.tokens for provider in PROVIDERS.values()))


def told_limits(headers: Mapping[str, str]) -> Limits | None:
    """The limits that *headers* tell; None: none.  Names are looked up in lower case."""
    requests, tokens = _first(headers, _REQUESTS), _first(headers, _TOKENS)
    return None if requests is None and tokens is None else Limits(requests, tokens)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    found = (_positive(headers.get(name)) for name in names)
    return next((value for value in found if value is not None), None)


def _positive(text: str | None) -> float | None:
    """A number above 0; anything else is no limit."""
    try:
        value = float(text) if text is not None else 0.0
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


class Told:
    """What was told lately: the smallest, since models of one account may be told different limits."""

    def __init__(self) -> None:
        self._minutes: dict[int, Limits] = {}

    def note(self, limits: Limits, now: float) -> None:
        """What was told more than a minute or two before is forgotten: limits are raised, too."""
        minute = int(now // 60)
        kept = {at: told for at, told in self._minutes.items() if at >= minute - 1}
        kept[minute] = smallest((limits, kept.get(minute, limits)))
        self._minutes = kept

    @property
    def limits(self) -> Limits:
        return smallest(self._minutes.values())


def smallest(several: Iterable[Limits]) -> Limits:
    """The smallest of each limit; None where nobody has one."""
    several = tuple(several)
    return Limits(
        min((limits.requests_per_minute for limits in several if limits.requests_per_minute is not None), default=None),
        min((limits.tokens_per_minute for limits in several if limits.tokens_per_minute is not None), default=None),
        min((limits.concurrency for limits in several if limits.concurrency is not None), default=None),
    )
