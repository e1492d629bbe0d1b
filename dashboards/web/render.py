"""Renders pages to HTML; the only module that loads the templates.

Everything that a template prints is escaped, and control and spoofing characters are replaced, so that no text can
reorder or hide the text around it.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from muses_eval.dashboards.tables.text_table import one_line, printable
from muses_eval.dashboards.web.charts import interval_bar, model_key, usage_bar
from muses_eval.dashboards.web.message_text import shown_text
from muses_eval.dashboards.web.page import Page, relative, segment
from muses_eval.pipeline.text.quantities import duration_text, short_number
from muses_eval.storage.analysis.mean_estimate import MeanEstimate


def render(page: Page, path: str, *, live: bool, lost: Sequence[str] = (), sign_out: bool = False) -> str:
    """Returns the HTML of *page*.

    Args:
        page: template and values.
        path: path of the page from the root of the site.
        live: True when a server shows the page, which then has forms and SQL.
        lost: damaged objects that the page lacks.
        sign_out: True when the visitor has signed in and can sign out.
    """
    template = _environment().get_template(page.template)
    return template.render(
        **page.values,
        page=page,
        path=path,
        live=live,
        lost=lost,
        sign_out=sign_out,
        link=lambda target: relative(target, path),
    )


@lru_cache(1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("muses_eval.dashboards.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "standard_error": standard_error,
        "usd": usd,
        "one_line": one_line,
        "p_value": p_value,
        "duration": duration,
        "time_left": duration_text,
        "count": short_number,
    }
    environment.globals |= {
        "interval_bar": interval_bar,
        "usage_bar": usage_bar,
        "model_key": model_key,
        "segment": segment,
        "cell": cell,
        "shown_text": shown_text,
    }
    return environment


def _finalize(value: object) -> object:
    """Returns a value as a template prints it: text without spoofing characters, floats with 12 significant digits.

    DuckDB sums in the order in which its threads finish, so the last digits of a float differ between queries.
    """
    if isinstance(value, float):
        return f"{value:.12g}"
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def percent(estimate: MeanEstimate | None) -> str:
    """Returns the mean in percent, with one decimal."""
    return "–" if estimate is None else f"{100 * estimate.mean:.1f}"


def standard_error(estimate: MeanEstimate | None) -> str:
    """Returns ``± `` and the standard error in percent; empty when it is unknown."""
    return "" if estimate is None or estimate.se is None else f"± {100 * estimate.se:.1f}"


def usd(amount: float | None) -> str:
    """Returns an amount in USD; a question mark when it is unknown."""
    return "?" if amount is None else f"${amount:,.2f}"


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def p_value(p: float | None) -> str:
    """Returns a p-value with three decimals, as papers print it."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def cell(value: object) -> Markup:
    """Returns a value of a query result as a table cell: numbers aligned right, nested values as JSON."""
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return Markup('<td class="num" data-value="{}">{}</td>').format(
            value, f"{value:.6g}" if isinstance(value, float) else value
        )
    if value is None:
        return Markup('<td class="nothing">NULL</td>')
    shown = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return Markup("<td>{}</td>").format(printable(shown))
