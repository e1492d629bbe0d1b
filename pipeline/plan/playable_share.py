"""The share of a plan's episodes that a budget is expected to suffice for."""

from muses_eval.pipeline.config.budget import Budget
from muses_eval.pipeline.plan.cost_estimate import CostEstimate
from muses_eval.pipeline.plan.interval import Interval


def playable_share(budget: Budget, estimate: CostEstimate) -> Interval | None:
    """Returns the share, 0 to 1, over both currencies of the budget; None when the cost in a capped one is unknown."""
    capped = [(budget.usd, estimate.cost_usd), (budget.tokens, estimate.tokens)]
    shares = [None if used is None else _share(cap, used) for cap, used in capped if cap is not None]
    known = [(share.low, share.mid, share.high) for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    low, mid, high = map(min, zip(*known, (1.0, 1.0, 1.0), strict=True))
    return Interval(low, mid, high)


def _share(cap: float, used: Interval) -> Interval:
    low, mid, high = (cap / amount if amount > 0 else 1.0 for amount in (used.high, used.mid, used.low))
    return Interval(low, mid, high)
