"""The share of a token limit that stays free, because the size of an attempt is known only after it has ended."""

import math
from collections.abc import Iterable

from muses_eval.workers.limits.protocol import AccountReport

USED_SHARE = 0.99
"""Share of a limit that is used.  The rest absorbs varying network latency."""
_LEAST_USED = 0.75
"""Least share of a token limit that is used, however large and uncertain attempts are."""
_SIGMAS = 3.0
"""Largest deviation of a sum of estimates that is provided for, in standard deviations."""
_WINDOW_S, _WINDOW_ATTEMPTS, _MINUTE_S = 10.0, 30, 60.0
"""A provider's window is taken to be 10 s, longer when 30 of the largest attempts do not fit, a minute at most."""


def used_share_of_tokens(tokens_per_s: float, reports: Iterable[AccountReport]) -> float:
    """Returns the share of a token limit that is used.

    An attempt cannot be sent in parts, and its tokens are estimated until it has ended.  So a window keeps free the
    tokens of the largest attempt, and the likely error of the estimates of all attempts in flight.

    Args:
        tokens_per_s: the limit.
        reports: the last report of every worker.
    """
    sized = [report for report in reports if report.sizes.mean]
    if not sized:
        return USED_SHARE
    mean = max(report.sizes.mean for report in sized)
    largest = max(report.sizes.largest for report in sized)
    off = max(report.sizes.off for report in sized)
    window = tokens_per_s * min(max(_WINDOW_S, _WINDOW_ATTEMPTS * largest / tokens_per_s), _MINUTE_S)
    unknown = min(sum(report.in_flight + 1 for report in sized), window / mean)
    reserve = largest + _SIGMAS * off * math.sqrt(2 * unknown)
    return max(USED_SHARE - reserve / window, _LEAST_USED)
