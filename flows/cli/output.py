"""What commands print: text, and JSON that any reader takes."""

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from muses_eval.pipeline.config.budget import Budget


def echo(text: str) -> None:
    """One piece of data on stdout."""
    print(text)  # noqa: T201 - data goes to stdout


def to_json(value: object, indent: int | None = 2) -> str:
    """*value* as JSON; what JSON has no word for becomes text, numbers that are none become null."""
    return json.dumps(json_value(value), indent=indent, allow_nan=False)


def json_value(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """*value*, or what stands for it in JSON."""
    match value:
        case None | str() | bool() | int():
            return value
        case float() | Decimal():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return {str(key): json_value(inner) for key, inner in value.items()}
        case list() | tuple():
            return [json_value(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)


def budget_text(budget: Budget | None) -> str:
    """What a budget allows, for people."""
    usd = [] if budget is None or budget.usd is None else [f"${budget.usd:g}"]
    tokens = [] if budget is None or budget.tokens is None else [f"{budget.tokens} tokens"]
    return " and ".join((*usd, *tokens))
