"""Notices about models that their provider retires."""

from collections.abc import Iterable
from datetime import date

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.price_table import PriceTable, default_prices
from muses_eval.pipeline.providers import PROVIDERS

NOTICE_DAYS = 90
"""A retirement is announced this many days ahead."""


def retirement_notices(models: Iterable[ModelSpec], today: date, table: PriceTable | None = None) -> tuple[str, ...]:
    """Returns one line for each model that is retired at its provider, or will be within :data:`NOTICE_DAYS`.

    Only models that are called at their provider's own address are considered.

    Args:
        models: the models of a run; repetitions count once.
        today: the date to compare with.
        table: known retirements; None for those of this version.
    """
    known = table or default_prices()
    lines = (_notice(model, today, known) for model in models)
    return tuple(dict.fromkeys(line for line in lines if line is not None))


def _notice(model: ModelSpec, today: date, table: PriceTable) -> str | None:
    entry = table.find(model.provider, model.model) if _is_at_home(model) else None
    if entry is None or entry.retirement is None:
        return None
    on, replacement = entry.retirement.on, entry.retirement.replacement
    days = (on - today).days
    if days > NOTICE_DAYS:
        return None
    if days > 0:
        when = f"retires on {on}, in {days} {'day' if days == 1 else 'days'}"
    else:
        when = f"was retired on {on}" if days else f"retires today, on {on}"
    instead = "" if replacement is None else f"; {model.provider} recommends {replacement} instead"
    return f"{model.name}: {model.provider}:{model.model} {when}{instead} (known on {table.as_of})"


def _is_at_home(model: ModelSpec) -> bool:
    """Returns whether a model is called at its provider's own address."""
    provider = PROVIDERS.get(model.provider)
    return (
        provider is not None
        and model.endpoint is not None
        and provider.base_url is not None
        and set(model.endpoint.base_urls) == {provider.base_url}
    )
