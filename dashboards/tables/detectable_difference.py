"""The smallest difference of two models that a planned run can detect, per family."""

import math
from collections import Counter, defaultdict

from muses_eval.pipeline.plan.plan import Plan
from muses_eval.storage.analysis.power import Design, smallest_difference


def detectable_differences(plan: Plan) -> dict[str, float | None]:
    """Returns for each family the smallest difference of two models that a run of this plan detects, in 0-1.

    None for a family with too few scenarios.  Uses the assumptions of
    :class:`muses_eval.storage.analysis.power.Design`, with one comparison per pair of models in the plan.
    """
    first, played = plan.cells[0].model, defaultdict[str, Counter[str]](Counter)
    for cell in plan.cells:
        if cell.model == first:
            played[cell.family].update(episode.scenario_id for shard in cell.shards for episode in shard.episodes)
    pairs = max(1, math.comb(len({cell.entry for cell in plan.cells}), 2))
    designs = {
        family: Design(scenarios=len(counts), epochs=max(1, counts.total() // len(counts)), comparisons=pairs)
        for family, counts in played.items()
        if counts
    }
    return {family: smallest_difference(design) for family, design in designs.items()}


def render_detectable_differences(plan: Plan) -> str:
    """Returns :func:`detectable_differences` in one line, in percentage points."""
    shown = ", ".join(
        f"{family} none" if smallest is None or smallest > 1 else f"{family} {100 * smallest:.0f}"
        for family, smallest in detectable_differences(plan).items()
    )
    return f"smallest detectable difference of two models (80 % power, paired, percentage points): {shown}"
