"""Computes the cost of model calls, with prices from the config or from the table (:mod:`price_table`).

An unknown cost is None, never 0.  Only the models that this project serves itself and replies from its response cache
are free.
"""

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.episode.model_call import Call

FREE = Prices(0.0, 0.0)
_FREE_PROVIDERS = ("scripted", "vllm")
_MILLION = 1_000_000


def prices_of(model: ModelSpec) -> Prices | None:
    """Returns the token prices of a model; None when they are unknown."""
    if model.prices is None and model.provider in _FREE_PROVIDERS:
        return FREE
    return model.prices


def cost_of(call: Call, prices: Prices | None) -> float | None:
    """Returns the cost of a call in USD; None when a price or a token count is unknown."""
    if call.cached or prices == FREE:
        return 0.0
    if prices is None or call.prompt_tokens is None or call.completion_tokens is None:
        return None
    cached = min(call.cached_tokens or 0, call.prompt_tokens)
    cached_input = prices.input if prices.cached_input is None else prices.cached_input
    fresh = (call.prompt_tokens - cached) * prices.input
    return (fresh + cached * cached_input + call.completion_tokens * prices.output) / _MILLION
