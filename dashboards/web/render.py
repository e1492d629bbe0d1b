"""From a page to HTML: the one place that knows the templates.

Everything that a template prints is escaped; texts of models also lose their control characters, so that none can
reorder or hide what stands beside it.
"""

import json
from decimal import Decimal
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dashboards.text import one_line, printable
from dashboards.web.charts import interval, key
from dashboards.web.page import Page, relative, segment
from storage.stats import Estimate


def render(page: Page, path: str, *, live: bool) -> str:
    """The HTML of the page at *path*.  *live*: whether a server answers what a file cannot (forms, SQL)."""
    template = _environment().get_template(page.template)
    return template.render(
        **page.values,
        page=page,
        path=path,
        live=live,
        link=lambda target: relative(target, path),
    )


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dashboards.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "error": error,
        "usd": usd,
        "line": one_line,
        "clean": printable,
        "p_value": p_value,
    }
    environment.globals |= {"interval": interval, "legend_key": key, "segment": segment, "cell": cell}
    return environment


def percent(estimate: Estimate | None) -> str:
    """The mean in percent, with one decimal."""
    return "–" if estimate is None else f"{100 * estimate.mean:.1f}"


def error(estimate: Estimate | None) -> str:
    """The standard error in percent; empty where there is none."""
    return "" if estimate is None or estimate.se is None else f"± {100 * estimate.se:.1f}"


def usd(amount: float | None) -> str:
    """An amount of money; a question mark where it is not known."""
    return "?" if amount is None else f"${amount:,.2f}"


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
