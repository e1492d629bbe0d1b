"""Two models, paired by scenario: where one is better for certain, and the scenarios that tell them apart.

Of one run they stand among all its pairs, with the p-values of all of them; of two runs they are compared alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muses_eval.dashboards.web.charts import Gap
from muses_eval.dashboards.web.page import Ask, NoSuchPageError, Page
from muses_eval.dashboards.web.pages.flips import MOST_FLIPS, flips
from muses_eval.dashboards.web.pages.standings import standings_of
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import ComparisonReport, Contrast, Side, compare


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two, as the page calls it."""

    side: Side
    label: str


def pairs_page(cache: StoreCache, ask: Ask) -> Page:
    """All pairs of a run.  Its place: ``run``."""
    run_id = cache.run(ask.place["run"]).run_id
    values = {"standings": standings_of(cache, run_id), "run": run_id}
    return Page(f"Compare the models of {run_id}", "pairs.html", values, run_id)


def compare_page(cache: StoreCache, ask: Ask) -> Page:
    """Two models of a run.  Its place: ``run``, ``a`` and ``b``."""
    run_id = cache.run(ask.place["run"]).run_id
    answer = _among_all(cache, run_id, ask.place["a"], ask.place["b"])
    a, b = (Party(side, side.model) for side in (answer.comparison.a, answer.comparison.b))
    return _page(cache, answer, (a, b), run_id)


def compare_across_page(cache: StoreCache, ask: Ask) -> Page:
    """Two models of two runs.  Its place: ``first``, ``a``, ``second`` and ``b``."""
    runs = [cache.run(ask.place[name]).run_id for name in ("first", "second")]
    a, b = Side(runs[0], ask.place["a"]), Side(runs[1], ask.place["b"])
    answer = across(cache, a, b)
    if answer is None:
        raise NoSuchPageError(f"{_named(a)} and {_named(b)} are no two models with scored scenarios in common")
    labels = runs if a.model == b.model else [f"{a.model} ({a.run_id})", f"{b.model} ({b.run_id})"]
    return _page(cache, answer, (Party(a, labels[0]), Party(b, labels[1])), None)


def every_pair(cache: StoreCache, run_id: str) -> list[tuple[str, str]]:
    """The pairs whose pages an export has."""
    standings = standings_of(cache, run_id)
    return [] if standings is None else [(pair.a.model, pair.b.model) for pair in standings.comparisons if pair.columns]


def across(cache: StoreCache, a: Side, b: Side) -> ComparisonReport | None:
    """Two models of two runs; None when nothing of them can be compared."""

    def found() -> ComparisonReport | None:
        try:
            return cache.query(lambda connection: compare(connection, a, b))
        except StoreError:
            raise
        except MusesError:  # nothing in common
            return None

    return cache.get_or_compute(("across", a, b, cache.version(b.run_id)), found, a.run_id)


def verdict(answer: ComparisonReport, labels: Sequence[str]) -> str:
    """What the comparison says, in one sentence; *labels*: what the two are called."""
    comparison, alpha = answer.comparison, answer.terms.alpha
    sides = dict(zip(("a", "b"), labels, strict=True))
    asked = [*comparison.columns, *([comparison.overall] if comparison.overall and len(comparison.columns) > 1 else [])]
    won: Mapping[str, list[str]] = {
        side: [_TITLES[one.column] for one in asked if one.winner(alpha) == side] for side in sides
    }
    told = [f"{sides[side]} is better in {_listed(columns)}" for side, columns in won.items() if columns]
    return f"{'; '.join(told)}." if told else "No difference between the two can be told."


def _page(cache: StoreCache, answer: ComparisonReport, parties: tuple[Party, Party], run_id: str | None) -> Page:
    a, b = parties
    contrasts = answer.comparison.columns
    model = a.side.model if a.side.model == b.side.model else None
    return Page(
        title=f"{a.label} and {b.label}",
        template="compare.html",
        run_id=run_id,
        values={
            "a": a,
            "b": b,
            "model": model,
            "answer": answer,
            "contrasts": [*contrasts, *([answer.comparison.overall] if len(contrasts) > 1 else [])],
            "titles": _TITLES,
            "verdict": verdict(answer, (a.label, b.label)),
            "gap": Gap.over([spread(contrast) for contrast in contrasts]),
            "flips": flips(cache, a.side, b.side),
            "most_flips": MOST_FLIPS,
        },
    )


def _among_all(cache: StoreCache, run_id: str, a: str, b: str) -> ComparisonReport:
    """The pair as it stands among all pairs of the run, the better model first, with the same p-values."""
    standings = standings_of(cache, run_id)
    if standings is not None:
        for pair in standings.comparisons:
            if {pair.a.model, pair.b.model} == {a, b} and pair.columns:
                return ComparisonReport(standings.terms, pair, standings.cautions)
    raise NoSuchPageError(f"{a!r} and {b!r} are no two models of the run {run_id!r} with scored scenarios in common")


def spread(contrast: Contrast) -> float:
    """How far from zero the interval reaches."""
    reach = contrast.difference.interval() or (contrast.difference.mean, contrast.difference.mean)
    return max(abs(reach[0]), abs(reach[1]))


def _named(side: Side) -> str:
    return f"{side.model!r} of the run {side.run_id!r}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


_TITLES = {
    **{name: f"{column.heading[0].lower()} {column.heading[1]}" for name, column in COLUMNS.items()},
    "avg": "the average",
}
