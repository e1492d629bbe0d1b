"""Computes the cost of model calls, with prices from the config or from the dated table ``prices.toml``.

An unknown cost is None, never 0.  Only the models that this project serves itself and replies from its response cache
are free.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.episode.model_call import Call

FREE = Prices(0.0, 0.0)
_FREE_PROVIDERS = ("scripted", "vllm")
_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices of well-known models at the address of their provider."""

    as_of: date
    sources: tuple[str, ...]
    prices: Mapping[tuple[str, str], Prices]
    """(provider, the provider's name of the model) -> prices."""

    def find(self, provider: str, model: str) -> Prices | None:
        """Returns the prices of a model, or None.  A name with a date falls back to the name without the date."""
        own = self.prices.get((provider, model))
        return own or self.prices.get((provider, _DATED.sub("", model)))


@cache
def default_prices() -> PriceTable:
    """Returns the table of this version."""
    raw = tomllib.loads(files("muses_eval.pipeline").joinpath("prices.toml").read_text(encoding="utf-8"))
    as_of, sources = raw.pop("as_of"), raw.pop("sources")
    found = {
        (provider, model): Prices(**prices) for provider, models in raw.items() for model, prices in models.items()
    }
    return PriceTable(as_of, tuple(sources), found)


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
