"""Two runs: the differences of their configurations, and the change of the score of each common model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from muses_eval.dashboards.web.charts import DifferenceScale
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.pages.compare import compare_across_page, compare_across_runs, reach
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.hashing import canonical
from muses_eval.storage.analysis.compare import ColumnComparison
from muses_eval.storage.analysis.model_in_run import ModelInRun
from muses_eval.storage.analysis.multiple_comparisons import adjusted
from muses_eval.storage.analysis.run_diff import changes
from muses_eval.storage.runs.nights import Night

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One model: its average score in the first run against that in the second."""

    model: str
    contrast: ColumnComparison | None
    """Comparison of the average; None when the runs scored no scenario in common."""
    cautions: tuple[str, ...]

    @property
    def is_significant(self) -> bool:
        """True when the corrected p-value is below ALPHA."""
        return self.contrast is not None and self.contrast.winner(ALPHA) is not None


def compare_runs_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page that compares two runs; differences are first - second, so *first* is the newer run.

    Path parameters: ``first`` and ``second``.
    """
    first, second = (cache.run(request.path_params[name]) for name in ("first", "second"))
    if first == second:
        raise NoSuchPageError(f"the run {first.run_id!r} is named twice; name two different runs")
    models = _model_contrasts(cache, first, second)
    compared = [each.contrast for each in models if each.contrast is not None]
    return Page(
        title=f"{first.run_id} and {second.run_id}",
        template="compare_runs.html",
        values={
            "first": first,
            "second": second,
            "models": models,
            "scale": DifferenceScale.over([reach(contrast) for contrast in compared]),
            "only": [(run, sorted(set(run.models) - set(other.models))) for run, other in _both_ways(first, second)],
            "changes": [
                (change.group, change.what, _shown(change.b), _shown(change.a))
                for change in changes(first.manifest, second.manifest)
            ],
            "cautions": list(dict.fromkeys(caution for each in models for caution in each.cautions)),
        },
    )


def chosen_comparison_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the comparison that a form requests.

    Query parameters: the runs ``first`` and ``second``; optionally their models ``a`` and ``b``.
    """
    if not (request.query_params.get("first") and request.query_params.get("second")):
        raise NoSuchPageError("name two runs to compare as first= and second=; the page Runs has a form")
    chosen = replace(request, path_params=request.query_params)
    is_of_models = request.query_params.get("a") and request.query_params.get("b")
    return compare_across_page(cache, chosen) if is_of_models else compare_runs_page(cache, chosen)


def run_predecessors(runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    """Returns (run, newest earlier run of its kind with a common model) for each run that has one.

    *runs*: newest first.
    """
    listed = list(runs)
    found = []
    for index, run in enumerate(listed):
        for earlier in listed[index + 1 :]:
            if _kind(earlier) == _kind(run) and set(earlier.models) & set(run.models):
                found.append((run.run_id, earlier.run_id))
                break
    return found


def comparable_models(cache: StoreCache, first: str, second: str) -> list[str]:
    """Returns the models that scored scenarios in common in both runs."""
    return [
        each.model for each in _model_contrasts(cache, cache.run(first), cache.run(second)) if each.contrast is not None
    ]


def with_corrected_p(contrasts: Mapping[str, ColumnComparison]) -> dict[str, ColumnComparison]:
    """Returns the contrasts with p-values corrected over all models (Holm)."""
    known = {model: p for model, contrast in contrasts.items() if (p := contrast.difference.p) is not None}
    values = dict(zip(known, adjusted(list(known.values()), "holm"), strict=True))
    return {model: replace(contrast, p_adjusted=values.get(model)) for model, contrast in contrasts.items()}


def _kind(run: RunSummary) -> tuple[str, str | None]:
    """Returns the dataset and, for a night, its name, so that a canary is not compared with a full night."""
    night = Night.parse(run.run_id)
    return run.dataset, None if night is None else night.name


def _model_contrasts(cache: StoreCache, first: RunSummary, second: RunSummary) -> list[ModelChange]:
    both = sorted(set(first.models) & set(second.models))
    reports = {
        model: compare_across_runs(cache, ModelInRun(first.run_id, model), ModelInRun(second.run_id, model))
        for model in both
    }
    overall = {
        model: report.comparison.overall
        for model, report in reports.items()
        if report is not None and report.comparison.overall is not None
    }
    contrasts = with_corrected_p(overall)
    return [
        ModelChange(model, contrasts.get(model), () if report is None else report.cautions)
        for model, report in reports.items()
    ]


def _both_ways(first: RunSummary, second: RunSummary) -> tuple[tuple[RunSummary, RunSummary], ...]:
    return (first, second), (second, first)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else canonical(value).decode()
