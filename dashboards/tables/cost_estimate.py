"""The cost estimate of a run, or of each run of a sweep, as a table and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.plan.cost_estimate import CostEstimate, ModelCostEstimate
from muses_eval.pipeline.plan.duration import ASSUMED_CONCURRENCY
from muses_eval.pipeline.plan.interval import CONFIDENCE_LEVEL, Interval
from muses_eval.pipeline.price_table import default_prices

_AT_LEAST = "≥ "
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def estimate_record(estimate: CostEstimate) -> dict[str, Any]:
    """Returns the estimate as JSON values; sums cover the whole run, including episodes that are played already."""
    return {
        "from": {
            "played_episodes": estimate.sampled_episodes,
            "sampled_cells": estimate.sampled_cells,
            "cells": estimate.cells,
            "level": CONFIDENCE_LEVEL,
            "prices_as_of": default_prices().as_of,
        },
        **{name: _record(getattr(estimate, name)) for name in ("calls", "tokens", "cost_usd", "seconds")},
        "by_model": [asdict(line) for line in estimate.by_model],
        "unpriced": list(estimate.unpriced),
        "undeclared_limits": list(estimate.undeclared),
        "unmeasured_agents": list(estimate.unmeasured),
    }


def render_estimate(estimate: CostEstimate) -> str:
    """Returns one line per model, role and agent, the sums, and the basis of the estimate."""
    shows_agents = any(line.agent not in (None, CHAT.name) for line in estimate.by_model)
    agent = ["agent"] if shows_agents else []
    header = ["model", *agent, "role", "calls", "prompt tokens", "completion tokens", "USD"]
    rows = [_row(line, shows_agents=shows_agents) for line in estimate.by_model]
    cost = "cost not known" if estimate.cost_usd is None else _money(estimate.cost_usd)
    bound = _AT_LEAST if estimate.unmeasured else ""
    total = (
        f"together {bound}{_calls(estimate.calls)}, {_count(estimate.tokens)} tokens, {cost}, "
        f"{time_span(estimate.seconds)} under the limits"
    )
    table = text_table(header, rows, numeric=range(len(header) - 4, len(header)))
    return "\n".join([table, total, *_remarks(estimate)])


def _row(line: ModelCostEstimate, *, shows_agents: bool) -> list[str]:
    bound = _AT_LEAST if line.assumes_chat else ""
    return [
        *(line.model, *([line.agent or ""] if shows_agents else []), line.role),
        *(f"{bound}{_count(amount)}" for amount in (line.calls, line.prompt_tokens, line.completion_tokens)),
        "price not known" if line.cost_usd is None else f"{bound}{_money(line.cost_usd)}",
    ]


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """One run of a sweep."""

    run: str
    """Its parameter values, as text."""
    cells: int
    episodes: int
    estimate: CostEstimate
    smallest: Mapping[str, float | None]
    """Family -> smallest detectable difference of two models, in 0-1; None when it has too few scenarios."""


def render_runs(lines: Sequence[RunEstimate]) -> str:
    """Returns one line per run, with the middle of each interval; one column per family for the smallest difference."""
    families = list(dict.fromkeys(family for line in lines for family in line.smallest))
    header = ["run", "cells", "episodes", "calls", "tokens", "USD", *(f"{family} ±" for family in families)]
    rows = [
        [
            *(line.run, str(line.cells), str(line.episodes)),
            *(_short(amount.mid) for amount in (line.estimate.calls, line.estimate.tokens)),
            "?" if line.estimate.cost_usd is None else _money_of(line.estimate.cost_usd.mid),
            *(_points(line.smallest.get(family)) for family in families),
        ]
        for line in lines
    ]
    note = "±: smallest detectable difference of two models (80 % power, paired, percentage points)"
    return f"{text_table(header, rows, numeric=range(1, len(header)))}\n{note}"


def time_span(amount: Interval) -> str:
    """Returns a duration with its interval, in days, hours, minutes or seconds."""
    return _interval(*(_time(seconds) for seconds in (amount.low, amount.mid, amount.high)))


def _points(smallest: float | None) -> str:
    return "–" if smallest is None or smallest > 1 else f"{100 * smallest:.0f}"


def _remarks(estimate: CostEstimate) -> Iterator[str]:
    rough = "from rules of thumb and the scenario texts, within a factor of three; --pilot N plays N episodes per cell"
    if not estimate.sampled_cells:
        yield f"  {rough}"
    else:
        yield (
            f"  {CONFIDENCE_LEVEL:.0%} intervals from {estimate.sampled_episodes} played episodes in "
            f"{estimate.sampled_cells} of {estimate.cells} cells"
        )
        if estimate.sampled_cells < estimate.cells:
            yield f"  the other cells {rough}"
    if estimate.unmeasured:
        names = ", ".join(estimate.unmeasured)
        yield f"  ≥: how often {names} will call a model is not known without a pilot; one call per turn is assumed"
    if estimate.unpriced:
        names = ", ".join(estimate.unpriced)
        yield f"  no prices are known for {names}: add prices: {{input: ..., output: ...}} to the config"
    elif estimate.cost_usd is not None and estimate.cost_usd.high > 0:
        as_of = default_prices().as_of
        yield f"  without discounts for cached input; prices that the config does not set are as of {as_of}: check them"
    if estimate.undeclared:
        names = ", ".join(estimate.undeclared)
        yield f"  no limits are declared for {names}: {ASSUMED_CONCURRENCY} concurrent calls are assumed"


def _record(amount: Interval | None) -> dict[str, float] | None:
    return None if amount is None else asdict(amount)


def _interval(low: str, mid: str, high: str) -> str:
    return mid if low == mid == high else f"{mid} ({low} to {high})"


def _calls(amount: Interval) -> str:
    shown = _count(amount)
    return f"{shown} call" if shown == "1" else f"{shown} calls"


def _count(amount: Interval) -> str:
    return _interval(*(_short(number) for number in (amount.low, amount.mid, amount.high)))


def _short(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            scaled = number / (1e3 if unit == "k" else size)
            return f"{scaled:.3g}{unit}" if scaled < 1000 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def _money(amount: Interval) -> str:
    return _interval(*(_money_of(number) for number in (amount.low, amount.mid, amount.high)))


def _money_of(number: float) -> str:
    return f"${number:,.{2 if number >= 0.995 else 3}f}"


def _time(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
