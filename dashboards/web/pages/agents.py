"""The effect of a harness: each agent of a run against its model alone, in scores, cost and time."""

from typing import TYPE_CHECKING

from muses_eval.dashboards.tables.harness_effect import usage_texts
from muses_eval.dashboards.tables.score_format import STRUCTURED_NOTE, column_title
from muses_eval.dashboards.web.charts import DifferenceScale
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.pages.compare import reach
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.compare import AVERAGE
from muses_eval.storage.analysis.harness_effect import HarnessReport, harness_effects

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def agents_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page of a run's agents.  Path parameter: ``run``."""
    run_id = cache.run(request.path_params["run"]).run_id
    report = _report(cache, run_id)
    columns = [column for effect in report.effects for column in effect.columns]
    return Page(
        title=f"What the harness changes in {run_id}",
        template="agents.html",
        run_id=run_id,
        values={
            "report": report,
            "scale": DifferenceScale.over([reach(column) for column in columns]),
            "title": column_title,
            "average": AVERAGE,
            "usage_texts": usage_texts,
            "note": STRUCTURED_NOTE if any(effect.facts == "structured" for effect in report.effects) else "",
        },
    )


def _report(cache: StoreCache, run_id: str) -> HarnessReport:
    def read(connection: "DuckDBPyConnection") -> HarnessReport:
        try:
            return harness_effects(connection, run_id)
        except StoreError:
            raise
        except MusesError as error:  # the run has no agent besides the model alone
            raise NoSuchPageError(str(error)) from error

    return cache.get_or_compute(("harness",), lambda: cache.query(read, run_id), run_id)
