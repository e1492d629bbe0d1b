"""A budget that is smaller than the plan is spread over all cells: slices, from the expected and the measured costs."""

import math
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from muses_eval.flows.job.budget_slices import BudgetForecast
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.plan.plan import EpisodePlan, Plan, RunRequest, make_plan
from muses_eval.workers.budget import NO_HISTORY, Cost, CostHistory, budget_cell

MODELS = tuple(ModelSpec(name, "openai", name) for name in "abc")
FAMILIES = ("queue", "access")
REAL = {("a", "queue"): 100, ("a", "access"): 2_000, ("b", "queue"): 400, ("b", "access"): 8_000, ("c", "queue"): 0}
"""Tokens of an episode; the third model fails in access, without any usage."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(RunRequest("run", MODELS, FAMILIES), generate_dataset(60, 0, FAMILIES), 16)


def ids(plan: Plan) -> list[EpisodePlan]:
    return [episode for cell in plan.cells for shard in cell.shards for episode in shard.episodes]


def played_shares(plan: Plan, cap: float, expected: float) -> tuple[dict[tuple[str, str], float], float, int]:
    """Plays slices until the budget is used; returns the played share of each cell, the tokens used, and the slices."""
    forecast = BudgetForecast(Cost(math.inf, cap), {e.id: Cost(tokens=expected) for e in ids(plan)}, {}, plan.run_id)
    rest, spent, slices, shares = plan, 0.0, 0, Counter[tuple[str, str]]()
    learned: dict[str, CostHistory] = defaultdict(lambda: NO_HISTORY)
    while rest.episode_count:
        part, stopped = forecast.next_slice(rest), set(forecast.stopped)
        slices += 1
        for cell in part.cells:
            name = budget_cell(plan.run_id, cell.slug, cell.family)
            for _ in range(cell.episode_count):
                cost = REAL.get((cell.entry, cell.family))
                if cost is None:
                    continue
                if name in stopped or spent + cost > cap:
                    stopped.add(name)
                    break
                spent += cost
                shares[cell.entry, cell.family] += 1
                learned[name] += CostHistory(Cost(tokens=expected), Cost(tokens=cost))
        rest = rest.without({episode.id for episode in ids(part)})
        left = Cost(math.inf, cap - spent)
        forecast = replace(forecast, left=left, learned=dict(learned), stopped=frozenset(stopped), tried=True)
    return {name: count / 60 for name, count in shares.items()}, spent, slices


@pytest.mark.parametrize("expected", [300, 1_500, 30_000])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
def test_every_cell_has_its_share_of_a_small_budget(plan: Plan, share: float, expected: float) -> None:
    """Whatever the rules of thumb expect; a model that fails does not take the share of the others."""
    whole = sum(REAL.values()) * 60
    shares, spent, slices = played_shares(plan, share * whole, expected)
    paying = [found for name, found in shares.items() if REAL[name]]
    assert len(paying) == 4
    assert min(paying) > 0.75 * share
    assert spent > 0.9 * share * whole
    assert slices < 20


def test_a_sufficient_budget_is_played_at_once(plan: Plan) -> None:
    costs = {episode.id: Cost(tokens=10) for episode in ids(plan)}
    assert BudgetForecast(Cost(math.inf, 300 * plan.episode_count), costs, {}, plan.run_id).next_slice(plan) == plan


def test_all_models_play_the_same_scenarios_of_a_slice(plan: Plan) -> None:
    costs = {episode.id: Cost(tokens=10) for episode in ids(plan)}
    names = [budget_cell(plan.run_id, cell.slug, cell.family) for cell in plan.cells]
    learned = dict.fromkeys(names, CostHistory(Cost(tokens=10), Cost(tokens=10)))
    forecast = BudgetForecast(Cost(math.inf, 5 * plan.episode_count), costs, learned, plan.run_id, tried=True)
    found = defaultdict[str, set[frozenset[str]]](set)
    for cell in forecast.next_slice(plan).cells:
        found[cell.family].add(frozenset(e.scenario_id for shard in cell.shards for e in shard.episodes))
    assert [(len(scenarios), len(next(iter(scenarios)))) for scenarios in found.values()] == [(1, 18), (1, 18)]
