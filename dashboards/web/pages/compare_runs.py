"""Two runs: what they were not made alike with, and how each model that both have moved from one to the other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from muses_eval.dashboards.web.charts import Gap
from muses_eval.dashboards.web.page import Ask, NoSuchPageError, Page
from muses_eval.dashboards.web.pages.compare import across, compare_across_page, spread
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.pipeline.hashing import canonical
from muses_eval.storage.analysis.compare import Contrast, Side
from muses_eval.storage.analysis.multiple_comparisons import adjusted
from muses_eval.storage.analysis.run_diff import changes
from muses_eval.storage.runs.nights import Night

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Move:
    """One model in the first run against itself in the second."""

    model: str
    contrast: Contrast | None
    """On the average; None: nothing of it can be compared."""
    cautions: tuple[str, ...]

    @property
    def told(self) -> bool:
        """Whether it is more than chance explains."""
        return self.contrast is not None and self.contrast.winner(ALPHA) is not None


def compare_runs_page(cache: StoreCache, ask: Ask) -> Page:
    """Its place: ``first`` and ``second``; differences are first - second, so the newer run comes first."""
    first, second = (cache.run(ask.place[name]) for name in ("first", "second"))
    if first == second:
        raise NoSuchPageError(f"the run {first.run_id!r} was named twice; name two runs to compare")
    moves = _moves(cache, first, second)
    compared = [move.contrast for move in moves if move.contrast is not None]
    return Page(
        title=f"{first.run_id} and {second.run_id}",
        template="compare_runs.html",
        values={
            "first": first,
            "second": second,
            "moves": moves,
            "gap": Gap.over([spread(contrast) for contrast in compared]),
            "only": [(run, sorted(set(run.models) - set(other.models))) for run, other in _both_ways(first, second)],
            "changes": [
                (change.group, change.what, _shown(change.b), _shown(change.a))
                for change in changes(first.manifest, second.manifest)
            ],
            "cautions": list(dict.fromkeys(caution for move in moves for caution in move.cautions)),
        },
    )


def chosen_page(cache: StoreCache, ask: Ask) -> Page:
    """What a form asks for: ``first`` and ``second``, and ``a`` and ``b`` for one model of each."""
    if not (ask.query.get("first") and ask.query.get("second")):
        raise NoSuchPageError("name two runs to compare; the page Runs has a form for it")
    chosen = replace(ask, place=ask.query)
    is_of_models = ask.query.get("a") and ask.query.get("b")
    return compare_across_page(cache, chosen) if is_of_models else compare_runs_page(cache, chosen)


def each_with_its_forerunner(runs: Iterable[RunSummary]) -> list[tuple[str, str]]:
    """(run, the newest earlier one of its kind that shares a model with it); *runs*: the newest first."""
    listed = list(runs)
    found = []
    for index, run in enumerate(listed):
        for earlier in listed[index + 1 :]:
            if _kind(earlier) == _kind(run) and set(earlier.models) & set(run.models):
                found.append((run.run_id, earlier.run_id))
                break
    return found


def models_of_both(cache: StoreCache, first: str, second: str) -> list[str]:
    """Those that can be compared."""
    return [move.model for move in _moves(cache, cache.run(first), cache.run(second)) if move.contrast is not None]


def corrected(contrasts: Mapping[str, Contrast]) -> dict[str, Contrast]:
    """With p corrected over all models, since all are asked at once."""
    known = {model: p for model, contrast in contrasts.items() if (p := contrast.difference.p) is not None}
    values = dict(zip(known, adjusted(list(known.values()), "holm"), strict=True))
    return {model: replace(contrast, p_adjusted=values.get(model)) for model, contrast in contrasts.items()}


def _kind(run: RunSummary) -> tuple[str, str | None]:
    """Its dataset, and of nights what they are called, so that a canary is not held against a whole night."""
    night = Night.parse(run.run_id)
    return run.dataset, None if night is None else night.name


def _moves(cache: StoreCache, first: RunSummary, second: RunSummary) -> list[Move]:
    both = sorted(set(first.models) & set(second.models))
    answers = {model: across(cache, Side(first.run_id, model), Side(second.run_id, model)) for model in both}
    overall = {
        model: answer.comparison.overall
        for model, answer in answers.items()
        if answer is not None and answer.comparison.overall is not None
    }
    contrasts = corrected(overall)
    return [
        Move(model, contrasts.get(model), () if answer is None else answer.cautions)
        for model, answer in answers.items()
    ]


def _both_ways(first: RunSummary, second: RunSummary) -> tuple[tuple[RunSummary, RunSummary], ...]:
    return (first, second), (second, first)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else canonical(value).decode()
