"""How much of a token limit stays free, because the size of an attempt is known only after it has ended."""

import math
from collections.abc import Iterable

from muses_eval.workers.limits.protocol import AccountReport

USED = 0.99
"""Share of a limit that is used.  The rest absorbs the varying latency of the way to the provider."""
_LEAST_USED = 0.75
"""Share of a token limit that is used at least, however large and uncertain attempts are."""
_SIGMAS = 3.0
"""Largest deviation of a sum of estimates that is provided for, in standard deviations."""
_WINDOW_S, _WINDOW_ATTEMPTS, _MINUTE_S = 10.0, 30, 60.0
"""A provider's window is taken to be 10 s, longer when 30 of the largest attempts do not fit, a minute at most."""


def used_share_of_tokens(tokens_per_s: float, reports: Iterable[AccountReport]) -> float:
    """Returns the share of a token limit that is used.

    No part of an attempt can be sent, and its tokens are estimated until it has ended.  So a window keeps free what the
    largest attempt takes, and what the estimates of the attempts in flight may be wrong by.

    Args:
        tokens_per_s: the limit.
        reports: the last report of every worker.
    """
    sized = [report for report in reports if report.sizes.mean]
    if not sized:
        return USED
    mean = max(report.sizes.mean for report in sized)
    largest = max(report.sizes.largest for report in sized)
    off = max(report.sizes.off for report in sized)
    window = tokens_per_s * min(max(_WINDOW_S, _WINDOW_ATTEMPTS * largest / tokens_per_s), _MINUTE_S)
    unknown = min(sum(report.in_flight + 1 for report in sized), window / mean)
    reserve = largest + _SIGMAS * off * math.sqrt(2 * unknown)
    return max(USED - reserve / window, _LEAST_USED)
