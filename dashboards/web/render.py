"""From a page to HTML: the one place that knows the templates.

Everything that a template prints is escaped; texts of models also lose their control characters, so that none can
reorder or hide what stands beside it.
"""

from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

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
    environment.filters |= {"percent": percent, "error": error, "usd": usd, "line": one_line, "clean": printable}
    environment.globals |= {"interval": interval, "legend_key": key, "segment": segment}
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
