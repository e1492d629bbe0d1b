"""Output of commands: text and strict JSON."""

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.pipeline.config.budget import Budget

_USUAL_WIDTH = 80


def echo(text: str) -> None:
    """Prints data to stdout."""
    print(text)  # noqa: T201 - data goes to stdout


def screen() -> Screen:
    """Returns what stdout can show: the width of a terminal; colours unless ``NO_COLOR`` or ``TERM=dumb`` is set."""
    if not sys.stdout.isatty():
        return PLAIN
    width = shutil.get_terminal_size((_USUAL_WIDTH, 24)).columns
    return Screen(width, color=not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def note(text: str) -> None:
    """Prints a remark to stderr."""
    print(text, file=sys.stderr)  # noqa: T201


def to_json(value: object, indent: int | None = 2) -> str:
    """Serializes *value* as strict JSON; types unknown to JSON become strings, NaN and infinities become null."""
    return json.dumps(json_value(value), indent=indent, allow_nan=False)


def json_value(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Returns *value* as a value that JSON can represent."""
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
    """Formats a budget for people, such as "$5 and 1000 tokens"."""
    return "" if budget is None else str(budget)
