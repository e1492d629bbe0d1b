"""The estimated usage of a run, from the texts of its scenarios and from episodes that were played."""

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset, generate_dataset
from muses_eval.pipeline.plan.cell_estimate import CellEstimate, estimate_cells
from muses_eval.pipeline.plan.cost_estimate import CostEstimate, estimate_cost
from muses_eval.pipeline.plan.duration import ASSUMED_CONCURRENCY
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage, RoleUsage
from muses_eval.pipeline.plan.interval import Interval
from muses_eval.pipeline.plan.plan import Plan, make_plan
from muses_eval.pipeline.plan.usage_assumptions import HIGH, LOW
from muses_eval.pipeline.plan.usage_estimator import UsageEstimator
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.storage.analysis.student_t import t_quantile
from muses_eval.workers.limits import Account

from tests.released import RELEASED

CRITICAL_VALUE = partial(t_quantile, 0.95)
DATA = generate_dataset("12", 0, ("queue", "access"))
ADDRESS = "http://127.0.0.1:1/v1"
API = {"model": "openai:m", "base_url": ADDRESS, "prices": {"input": 1.0, "output": 2.0}}


def planned(*models: object, dataset: Dataset = DATA, **settings: object) -> Plan:
    config = parse_config({"models": list(models), **settings}, "here")
    return make_plan(config.request(dataset.families), dataset, 32)


def estimated(plan: Plan, used: Mapping[str, EpisodeUsage] | None = None, dataset: Dataset = DATA) -> CostEstimate:
    return estimate_cost(estimate_cells(plan, dataset.by_family, used or {}), CRITICAL_VALUE, Account.of)


def ids(plan: Plan) -> list[str]:
    return [episode.id for cell in plan.cells for shard in cell.shards for episode in shard.episodes]


def ordered(amount: Interval | None) -> bool:
    return amount is not None and 0 < amount.low < amount.mid < amount.high


# Assumptions


def test_prompts_are_as_long_as_the_scenarios_texts() -> None:
    model = planned(API).cells[0].model
    (short, *_, long) = sorted(DATA.scenarios("queue"), key=lambda scenario: len(scenario.briefing_in("says")))
    estimator = UsageEstimator(UsersSpec())
    usages = [estimator.estimate(model, scenario, "says").agent for scenario in (short, long)]
    for scenario, usage in zip((short, long), usages, strict=True):
        written = len(scenario.briefing_in("says")) + sum(len(opening.text) for opening in scenario.openings)
        assert usage.prompt_tokens == pytest.approx(written / 4, rel=0.05)
    assert usages[0].prompt_tokens < usages[1].prompt_tokens


def test_turns_are_read_again_and_users_of_a_model_take_their_part() -> None:
    plan = planned(API, users={**API, "model": "openai:u"})
    model, users = plan.cells[0].model, plan.users
    scenario = DATA.scenarios("access")[0]
    low, high = (UsageEstimator(users).estimate(model, scenario, "says", assumptions) for assumptions in (LOW, HIGH))
    count = len(scenario.principals)
    assert (low.agent.calls, low.user.calls) == (2, count)
    assert (high.agent.calls, high.user.calls) == (10, 9 * count)
    assert high.agent.prompt_tokens > 5 * low.agent.prompt_tokens  # more than five times the turns alone
    free = UsageEstimator(UsersSpec()).estimate(model, scenario, "says", HIGH)
    assert free.user == RoleUsage()
    assert free.agent == high.agent


def test_users_who_are_greeted_take_part_once_more() -> None:
    """In the released protocol the users of a meeting answer a greeting; the texts of the protocol are counted."""
    plan = planned(API, users={**API, "model": "openai:u"})
    scenario = generate_dataset("1", 0, ("meeting",)).scenarios("meeting")[0]
    ours, theirs = (
        UsageEstimator(plan.users, protocol).estimate(plan.cells[0].model, scenario, scenario.template, HIGH)
        for protocol in (MUSES, RELEASED)
    )
    assert ours.agent.calls == theirs.agent.calls
    assert theirs.user.calls == ours.user.calls + len(scenario.principals)
    brief = ReleasedProtocol(replace(RELEASED.texts, meeting_greeting="Hi."))
    less = UsageEstimator(plan.users, brief).estimate(plan.cells[0].model, scenario, scenario.template, HIGH)
    assert less.agent.prompt_tokens < theirs.agent.prompt_tokens


def test_max_tokens_bounds_what_is_expected_of_replies() -> None:
    short = planned({**API, "sampling": {"max_tokens": 10}}).cells[0].model
    usage = UsageEstimator(UsersSpec()).estimate(short, DATA.scenarios("queue")[0], "says", HIGH)
    assert usage.agent.completion_tokens == 10


def test_scripted_models_take_nothing() -> None:
    nothing = estimated(planned("scripted/oracle", "scripted/random"))
    assert nothing.by_model == ()
    assert nothing.cost_usd == nothing.seconds == Interval(0, 0, 0)


def test_every_number_has_an_interval_and_the_sums_agree() -> None:
    plan = planned(API, "scripted/oracle", users={**API, "model": "openai:u"}, epochs=2)
    found = estimated(plan)
    assert [(line.model, line.role) for line in found.by_model] == [("m", "agent"), ("u", "user")]
    assert ordered(found.calls)
    assert ordered(found.tokens)
    assert ordered(found.cost_usd)
    assert ordered(found.seconds)
    assert found.calls.mid == pytest.approx(sum(line.calls.mid for line in found.by_model))
    assert found.cost_usd is not None
    parts = (line.prompt_tokens.mid + 2 * line.completion_tokens.mid for line in found.by_model)
    assert found.cost_usd.mid == pytest.approx(sum(parts) / 1e6)
    assert estimated(planned(API)).calls.mid * 2 == pytest.approx(found.by_model[0].calls.mid)


def test_without_a_price_the_cost_is_unknown_and_the_model_is_named() -> None:
    found = estimated(planned(API, {"model": "openai:mystery", "base_url": ADDRESS}))
    assert found.cost_usd is None
    assert found.unpriced == ("mystery",)
    assert [line.cost_usd is None for line in found.by_model] == [False, True]


# Limits


@pytest.mark.parametrize(
    ("limits", "pace"),
    [
        ({"requests_per_minute": 6}, lambda found: found.calls.mid / 6 * 60),
        ({"tokens_per_minute": 1_000}, lambda found: found.tokens.mid / 1_000 * 60),
        ({"max_concurrency": 1}, lambda found: one_by_one()),
    ],
    ids=["requests", "tokens", "concurrency"],
)
def test_the_tightest_limit_decides_how_long_it_takes(limits: dict[str, Any], pace: Any) -> None:
    found = estimated(planned({**API, **limits}))
    assert found.seconds.mid == pytest.approx(pace(found))
    assert found.undeclared == ()


def one_by_one() -> float:
    plan = planned(API)
    return sum(cell.remaining[1].agent.seconds for cell in estimate_cells(plan, DATA.by_family, {}))


def test_models_of_one_account_share_its_limits_and_others_run_beside_them() -> None:
    limited = {**API, "requests_per_minute": 6}
    alone = estimated(planned(limited)).seconds.mid
    shared = estimated(planned(limited, {**limited, "name": "twin"})).seconds.mid
    beside = estimated(planned(limited, {**limited, "name": "other", "account": "theirs"})).seconds.mid
    assert shared == pytest.approx(2 * alone)
    assert beside == pytest.approx(alone)


def test_undeclared_limits_are_named() -> None:
    found = estimated(planned(API))
    assert found.undeclared == ("m",)
    assert found.seconds.mid == pytest.approx(one_by_one() / ASSUMED_CONCURRENCY)


# Played episodes


def truth(plan: Plan, factor: float, noise: float = 0.0, seed: int = 0) -> dict[str, EpisodeUsage]:
    """Returns the true usage of every episode: *factor* times the estimate of the assumptions, with random noise."""
    rng, usages = random.Random(seed), {}
    estimator = UsageEstimator(plan.users)
    for cell in plan.cells:
        for episode in (episode for shard in cell.shards for episode in shard.episodes):
            scenario = DATA.by_family[cell.family][episode.scenario_id]
            side = estimator.estimate(cell.model, scenario, episode.template).agent
            times = factor * math.exp(rng.gauss(0, noise))
            usages[episode.id] = EpisodeUsage(
                RoleUsage(side.calls, side.prompt_tokens * times, side.completion_tokens * times, side.seconds * times)
            )
    return usages


def test_a_constant_ratio_is_found_by_two_episodes_of_a_cell() -> None:
    plan = planned(API)
    actual = truth(plan, 3.0)
    sample = {name: actual[name] for cell in plan.cells for name in ids(replace(plan, cells=(cell,)))[:2]}
    found = estimated(plan, sample)
    total = sum(usage.tokens for usage in actual.values())
    assert found.tokens.mid == pytest.approx(total)
    assert found.tokens.high - found.tokens.low < 1e-6 * total
    assert (found.sampled_cells, found.sampled_episodes, found.cells) == (2, 4, 2)


def test_one_episode_of_a_cell_is_no_sample() -> None:
    plan = planned(API)
    actual = truth(plan, 3.0)
    found = estimated(plan, {name: actual[name] for name in ids(plan)[:1]})
    assert found.sampled_cells == 0
    assert ordered(found.tokens)


def test_intervals_hold_what_they_promise() -> None:
    """About nine in ten 90 % intervals from pilots of six episodes per cell contain the true total."""
    plan = planned(API, epochs=4)
    held, tries = 0, 200
    for seed in range(tries):
        actual = truth(plan, 2.0, noise=0.5, seed=seed)
        rng = random.Random(seed)
        sample = {
            name: actual[name] for cell in plan.cells for name in rng.sample(ids(replace(plan, cells=(cell,))), 6)
        }
        found = estimated(plan, sample).tokens
        held += found.low <= sum(usage.tokens for usage in actual.values()) <= found.high
    assert 0.82 <= held / tries <= 0.96


def test_no_interval_goes_below_what_is_spent() -> None:
    plan = planned(API)
    actual = truth(plan, 2.0, noise=2.0)
    sample = {name: actual[name] for name in ids(plan)[:3]}
    found = estimated(plan, sample)
    assert found.tokens.low >= sum(usage.tokens for usage in sample.values())


def test_a_run_that_is_played_is_no_guess() -> None:
    plan = planned(API)
    actual = truth(plan, 2.0, noise=1.0)
    found = estimated(plan, actual).tokens
    assert found.low == found.mid == found.high == pytest.approx(sum(usage.tokens for usage in actual.values()))


def test_a_cell_that_used_nothing_expected_stays_finite() -> None:
    """The models of a new family may make calls where the assumptions expect none."""
    model = ModelSpec("m", "scripted", "oracle", prices=Prices(1, 1))
    nothing, used = EpisodeUsage(), EpisodeUsage(RoleUsage(2, 30, 4, 1))
    cell = CellEstimate(model, "queue", ((nothing, used), (nothing, used)), (nothing, nothing, nothing), 5)
    assert cell.total(lambda usage: usage.tokens).interval(CRITICAL_VALUE) == Interval(68, 68, 68)
