"""Two models of a run, paired by scenario: where one is better for certain, and the scenarios that tell them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboards.web.charts import Gap
from dashboards.web.page import Ask, NoSuchPageError, Page
from dashboards.web.pages.leaderboard import TITLES
from dashboards.web.shelf import Shelf
from pipeline.errors import MusesError, StoreError
from storage.compare import Answer, Contrast, Standings, compare_all
from storage.leaderboard import COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_FLIPS = 60
_FLIPS = f"""
WITH rated AS (
    SELECT
        family, scenario_id, template, model, coalesce(mode, attack, disclosure) AS variant,
        avg(picked(scores, 'published', [CASE family {
    " ".join(f"WHEN '{family}' THEN '{metric}'" for family, metric in dict(reversed(list(COLUMNS.values()))).items())
} END])[1].value) AS score,
        min(episode_id) AS episode_id
    FROM episodes
    WHERE run_id = $run AND outcome = 'scored' AND model IN ($a, $b)
    GROUP BY ALL
)
SELECT
    family, scenario_id, template, one.variant, one.score AS a, other.score AS b,
    one.episode_id AS a_episode, other.episode_id AS b_episode
FROM (FROM rated WHERE model = $a) AS one
JOIN (FROM rated WHERE model = $b) AS other USING (family, scenario_id, template)
WHERE one.variant IS NOT DISTINCT FROM other.variant AND abs(one.score - other.score) > 1e-9
ORDER BY abs(one.score - other.score) DESC, family, scenario_id, template
LIMIT {MOST_FLIPS}
"""  # noqa: S608 - names of our own families and metrics


@dataclass(frozen=True, slots=True)
class Flip:
    """A scenario on which the two differ, over its epochs; the episodes are the first of each."""

    family: str
    scenario_id: str
    template: str
    variant: str | None
    a: float
    b: float
    a_episode: str
    b_episode: str


def pairs_page(shelf: Shelf, ask: Ask) -> Page:
    """All pairs of a run.  Its place: ``run``."""
    run_id = _known(shelf, ask.place["run"])
    standings = shelf.remember(("standings", run_id), lambda: _standings(shelf, run_id))
    return Page(f"Compare the models of {run_id}", "pairs.html", {"standings": standings, "run": run_id}, run_id)


def compare_page(shelf: Shelf, ask: Ask) -> Page:
    """Two models.  Its place: ``run``, ``a`` and ``b``."""
    run_id = _known(shelf, ask.place["run"])
    answer = _compared(shelf, run_id, ask.place["a"], ask.place["b"])
    a, b = answer.comparison.a.model, answer.comparison.b.model
    contrasts = answer.comparison.columns
    return Page(
        title=f"{a} and {b}",
        template="compare.html",
        run_id=run_id,
        values={
            "run": run_id,
            "a": a,
            "b": b,
            "answer": answer,
            "contrasts": [*contrasts, *([answer.comparison.overall] if len(contrasts) > 1 else [])],
            "titles": _TITLES,
            "verdict": verdict(answer),
            "gap": Gap.over([_spread(contrast) for contrast in contrasts]),
            "flips": _flips(shelf, run_id, a, b),
            "most_flips": MOST_FLIPS,
        },
    )


def every_pair(shelf: Shelf, run_id: str) -> list[tuple[str, str]]:
    """The pairs whose pages an export has."""
    standings = shelf.remember(("standings", run_id), lambda: _standings(shelf, run_id))
    return [] if standings is None else [(pair.a.model, pair.b.model) for pair in standings.comparisons if pair.columns]


def verdict(answer: Answer) -> str:
    """What the comparison says, in one sentence."""
    comparison, alpha = answer.comparison, answer.terms.alpha
    sides = {"a": comparison.a.model, "b": comparison.b.model}
    asked = [*comparison.columns, *([comparison.overall] if comparison.overall and len(comparison.columns) > 1 else [])]
    won: Mapping[str, list[str]] = {
        side: [_TITLES[one.column] for one in asked if one.winner(alpha) == side] for side in sides
    }
    told = [f"{sides[side]} is better in {_listed(columns)}" for side, columns in won.items() if columns]
    return f"{'; '.join(told)}." if told else "No difference between the two can be told."


def _known(shelf: Shelf, run_id: str) -> str:
    if not any(run.run_id == run_id for run in shelf.runs()):
        raise NoSuchPageError(f"there is no run {run_id!r} in the store")
    return run_id


def _standings(shelf: Shelf, run_id: str) -> Standings | None:
    """None when fewer than two models have something in common."""
    try:
        return shelf.ask(lambda connection: compare_all(connection, run_id), run_id)
    except StoreError:
        raise
    except MusesError:
        return None


def _compared(shelf: Shelf, run_id: str, a: str, b: str) -> Answer:
    """The pair as it stands among all pairs of the run, the better model first, with the same p-values."""
    standings = shelf.remember(("standings", run_id), lambda: _standings(shelf, run_id))
    if standings is not None:
        for pair in standings.comparisons:
            if {pair.a.model, pair.b.model} == {a, b} and pair.columns:
                return Answer(standings.terms, pair, standings.cautions)
    raise NoSuchPageError(f"{a!r} and {b!r} are no two models of the run {run_id!r} with scored scenarios in common")


def _flips(shelf: Shelf, run_id: str, a: str, b: str) -> list[Flip]:
    def read(connection: "DuckDBPyConnection") -> list[Flip]:
        return [Flip(*row) for row in connection.execute(_FLIPS, {"run": run_id, "a": a, "b": b}).fetchall()]

    return shelf.remember(("flips", run_id, a, b), lambda: shelf.ask(read, run_id))


def _spread(contrast: Contrast) -> float:
    reach = contrast.difference.interval() or (contrast.difference.mean, contrast.difference.mean)
    return max(abs(reach[0]), abs(reach[1]))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


_TITLES = {
    **{column: f"{family.lower()} {metric}" for column, (family, metric) in TITLES.items()},
    "avg": "the average",
}
