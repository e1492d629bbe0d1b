"""From a page to HTML: the one place that knows the templates.

Everything that a template prints is escaped, and has lost its control characters, so that no text can reorder or hide
what stands beside it.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from muses_eval.dashboards.tables.text_table import one_line, printable
from muses_eval.dashboards.web.charts import interval, key, level
from muses_eval.dashboards.web.leaked_words import marked
from muses_eval.dashboards.web.page import Page, relative, segment
from muses_eval.storage.analysis.standard_error import Estimate


def render(page: Page, path: str, *, live: bool, lost: Sequence[str] = ()) -> str:
    """The HTML of the page at *path*.

    Args:
        page: what it says.
        path: where it stands.
        live: whether a server answers what a file cannot (forms, SQL).
        lost: the damaged objects that it is without.
    """
    template = _environment().get_template(page.template)
    return template.render(
        **page.values,
        page=page,
        path=path,
        live=live,
        lost=lost,
        link=lambda target: relative(target, path),
    )


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("muses_eval.dashboards.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "error": error,
        "usd": usd,
        "line": one_line,
        "p_value": p_value,
        "span": span,
    }
    environment.globals |= {
        "interval": interval,
        "level": level,
        "legend_key": key,
        "segment": segment,
        "cell": cell,
        "marked": marked,
    }
    return environment


def _shown(value: object) -> object:
    """What a template prints: texts without their control characters, wherever they come from, numbers to 12 digits.

    DuckDB adds up in whatever order its threads are done, so the last digits of a float are not those of the last time.
    """
    if isinstance(value, float):
        return f"{value:.12g}"
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def percent(estimate: Estimate | None) -> str:
    """The mean in percent, with one decimal."""
    return "–" if estimate is None else f"{100 * estimate.mean:.1f}"


def error(estimate: Estimate | None) -> str:
    """The standard error in percent; empty where there is none."""
    return "" if estimate is None or estimate.se is None else f"± {100 * estimate.se:.1f}"


def usd(amount: float | None) -> str:
    """An amount of money; a question mark where it is not known."""
    return "?" if amount is None else f"${amount:,.2f}"


def span(seconds: float) -> str:
    """A length of time, in the two units that matter."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def p_value(p: float | None) -> str:
    """A p-value as papers print it."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def cell(value: object) -> Markup:
    """One value of a query's result as a cell: numbers to the right, nested values as JSON."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return Markup('<td class="num" data-value="{}">{}</td>').format(
            value, f"{value:.6g}" if isinstance(value, float) else value
        )
    if value is None:
        return Markup('<td class="nothing">NULL</td>')
    shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return Markup("<td>{}</td>").format(printable(shown))
