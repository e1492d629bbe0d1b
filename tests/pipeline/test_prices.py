"""The cost of a call is known or None, and never 0 because of a missing number."""

from dataclasses import replace

import pytest
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.episode.call_usage import CallUsage, sum_or_none
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.prices import FREE, cost_of, prices_of

PRICES = Prices(input=2.0, output=8.0, cached_input=0.5)
CALL = Call("agent", "m", 1_000_000, 500_000, 1.0, 0, "stop")


def model(**settings: object) -> ModelSpec:
    return parse_config({"models": [settings]}, "here").models[0].spec()


def test_prompt_and_completion_have_their_own_prices() -> None:
    assert cost_of(CALL, PRICES) == pytest.approx(2.0 + 4.0)


def test_what_the_provider_had_cached_is_cheaper() -> None:
    assert cost_of(replace(CALL, cached_tokens=400_000), PRICES) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 4)
    assert cost_of(replace(CALL, cached_tokens=400_000), replace(PRICES, cached_input=None)) == pytest.approx(6.0)
    assert cost_of(replace(CALL, cached_tokens=9_000_000), PRICES) == pytest.approx(0.5 + 4)  # the provider is wrong


@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_without_a_count_the_cost_is_unknown(field: str) -> None:
    silent = replace(CALL, **{field: None})
    assert cost_of(silent, PRICES) is None
    assert cost_of(silent, FREE) == 0.0


def test_without_a_price_the_cost_is_unknown_but_our_own_cache_is_free() -> None:
    assert cost_of(CALL, None) is None
    assert cost_of(replace(CALL, cached=True), None) == 0.0
    assert cost_of(replace(CALL, cached=True), PRICES) == 0.0


def test_prices_of_the_config_come_first_and_the_table_is_for_the_providers_own_address() -> None:
    assert prices_of(model(model="openai:gpt-6-luna")) == Prices(0.1, 0.5, 0.01)
    assert prices_of(model(model="openai:gpt-6-luna", prices={"input": 1, "output": 2})) == Prices(1, 2)
    assert prices_of(model(model="openai:gpt-6-luna", base_url="http://127.0.0.1:1/v1")) is None
    assert prices_of(model(model="openai:gpt-6-luna", base_url="https://api.openai.com/v1")) is not None
    assert prices_of(model(model="anthropic:claude-sonnet-5-5-20260928")) == Prices(2.0, 10.0, 0.1)
    assert prices_of(model(model="vllm:qwen")) == prices_of(model(model="scripted/oracle")) == FREE


def test_prices_are_not_part_of_what_a_model_is() -> None:
    cheap, dear = (model(model="openai:m", prices={"input": price, "output": price}) for price in (1, 2))
    assert cheap.identity == dear.identity


@pytest.mark.parametrize("place", ["models", "users"])
def test_a_cap_in_usd_needs_every_price(place: str) -> None:
    unpriced = {"model": "openai:mystery", "base_url": "http://127.0.0.1:1/v1"}
    config = {"models": ["openai:gpt-6-luna"], "budget": {"usd": 1}}
    config |= {"models": [unpriced]} if place == "models" else {"users": unpriced}
    with pytest.raises(ConfigError, match=r"no price is known for mystery; write prices: \{input"):
        parse_config(config, "here")
    parse_config({**config, "budget": {"tokens": 10}}, "here")


def test_usage_sums_what_is_known_and_counts_what_is_not() -> None:
    calls = (
        replace(CALL, cost_usd=1.5),
        replace(CALL, completion_tokens=None, cost_usd=None),
        replace(CALL, cached=True, cost_usd=0.0),
    )
    usage = CallUsage.of(calls)
    assert usage == CallUsage(2, 2_000_000, 500_000, 1.5, 1, 1)
    assert (usage.tokens, usage.cost_usd) == (2_500_000, None)
    assert CallUsage.of(calls[:1]) + CallUsage.of(calls[2:]) == CallUsage(1, 1_000_000, 500_000, 1.5)
    assert CallUsage.of(()).cost_usd == 0.0


def test_a_sum_of_which_one_part_is_not_known_is_not_known() -> None:
    assert sum_or_none([0.5, None, 0.25]) is None
    assert sum_or_none([0.5, 0.25]) == 0.75
    assert sum_or_none(iter([1, 2])) == 3
    assert sum_or_none([]) == 0
