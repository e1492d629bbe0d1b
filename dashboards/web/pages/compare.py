"""Two models, paired by scenario: the significant differences, and the scenarios on which they differ.

Within a run, p-values are corrected over all pairs of its models; across two runs, over the columns of the one pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muses_eval.dashboards.web.charts import DifferenceScale
from muses_eval.dashboards.web.flips import MAX_FLIPS, flips
from muses_eval.dashboards.web.model_styles import model_styles
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.ranking_cache import ranking_of
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import ColumnComparison, ComparisonReport, compare
from muses_eval.storage.analysis.model_in_run import ModelInRun


@dataclass(frozen=True, slots=True)
class LabelledModel:
    """One of the two models and its label on the page."""

    side: ModelInRun
    label: str


def pairs_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page with all pairs of a run's models.  Path parameter: ``run``."""
    run_id = cache.run(request.path_params["run"]).run_id
    values = {"ranking": ranking_of(cache, run_id), "run": run_id, "styles": model_styles(cache.runs())}
    return Page(f"Compare the models of {run_id}", "pairs.html", values, run_id)


def compare_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page that compares two models of a run.  Path parameters: ``run``, ``a`` and ``b``."""
    run_id = cache.run(request.path_params["run"]).run_id
    report = _within_run(cache, run_id, request.path_params["a"], request.path_params["b"])
    a, b = (LabelledModel(side, side.model) for side in (report.comparison.a, report.comparison.b))
    return _page(cache, report, (a, b), run_id)


def compare_across_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page that compares two models of two runs.

    Path parameters: ``first``, ``a``, ``second`` and ``b``.
    """
    runs = [cache.run(request.path_params[name]).run_id for name in ("first", "second")]
    a, b = ModelInRun(runs[0], request.path_params["a"]), ModelInRun(runs[1], request.path_params["b"])
    report = compare_across_runs(cache, a, b)
    if report is None:
        raise NoSuchPageError(f"{_named(a)} and {_named(b)} are not two models with scored scenarios in common")
    labels = runs if a.model == b.model else [f"{a.model} ({a.run_id})", f"{b.model} ({b.run_id})"]
    return _page(cache, report, (LabelledModel(a, labels[0]), LabelledModel(b, labels[1])), None)


def exported_pairs(cache: StoreCache, run_id: str) -> list[tuple[str, str]]:
    """Returns the pairs of models whose pages the export writes."""
    ranking = ranking_of(cache, run_id)
    return [] if ranking is None else [(pair.a.model, pair.b.model) for pair in ranking.comparisons if pair.columns]


def compare_across_runs(cache: StoreCache, a: ModelInRun, b: ModelInRun) -> ComparisonReport | None:
    """Returns the comparison of two models of two runs; None when they scored no scenario in common."""

    def found() -> ComparisonReport | None:
        try:
            return cache.query(lambda connection: compare(connection, a, b))
        except StoreError:
            raise
        except MusesError:  # nothing in common
            return None

    return cache.get_or_compute(("across", a, b, cache.version(b.run_id)), found, a.run_id)


def verdict(report: ComparisonReport, labels: Sequence[str]) -> str:
    """Returns the result of the comparison in one sentence; *labels* are the names of the two models."""
    comparison, alpha = report.comparison, report.settings.alpha
    sides = dict(zip(("a", "b"), labels, strict=True))
    tested = [
        *comparison.columns,
        *([comparison.overall] if comparison.overall and len(comparison.columns) > 1 else []),
    ]
    won: Mapping[str, list[str]] = {
        side: [_TITLES[one.column] for one in tested if one.winner(alpha) == side] for side in sides
    }
    results = [f"{sides[side]} is better in {_listed(columns)}" for side, columns in won.items() if columns]
    return f"{'; '.join(results)}." if results else "No significant difference between the two."


def _page(
    cache: StoreCache, report: ComparisonReport, sides: tuple[LabelledModel, LabelledModel], run_id: str | None
) -> Page:
    a, b = sides
    contrasts = report.comparison.columns
    model = a.side.model if a.side.model == b.side.model else None
    return Page(
        title=f"{a.label} and {b.label}",
        template="compare.html",
        run_id=run_id,
        values={
            "a": a,
            "b": b,
            "model": model,
            "styles": model_styles(cache.runs()),
            "report": report,
            "contrasts": [*contrasts, *([report.comparison.overall] if len(contrasts) > 1 else [])],
            "titles": _TITLES,
            "verdict": verdict(report, (a.label, b.label)),
            "scale": DifferenceScale.over([reach(contrast) for contrast in contrasts]),
            "flips": flips(cache, a.side, b.side),
            "max_flips": MAX_FLIPS,
        },
    )


def _within_run(cache: StoreCache, run_id: str, a: str, b: str) -> ComparisonReport:
    """Returns the comparison of the pair, the better model first, with p corrected over all pairs of the run."""
    ranking = ranking_of(cache, run_id)
    if ranking is not None:
        for pair in ranking.comparisons:
            if {pair.a.model, pair.b.model} == {a, b} and pair.columns:
                facts = (ranking.facts(pair.a.model), ranking.facts(pair.b.model))
                return ComparisonReport(ranking.settings, pair, ranking.cautions, ranking.protocols, facts)
    raise NoSuchPageError(f"{a!r} and {b!r} are not two models of the run {run_id!r} with scored scenarios in common")


def reach(contrast: ColumnComparison) -> float:
    """Returns the largest absolute value in the interval of the difference."""
    low, high = contrast.difference.interval() or (contrast.difference.mean, contrast.difference.mean)
    return max(abs(low), abs(high))


def _named(side: ModelInRun) -> str:
    return f"{side.model!r} of the run {side.run_id!r}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


_TITLES = {
    **{name: f"{column.heading[0].lower()} {column.heading[1]}" for name, column in COLUMNS.items()},
    "avg": "the average",
}
