"""The figures of a run: each answers one question by one SQL query, which the page prints with its result.

Figures draw the best models by the leaderboard; built-in agents only on request, or in a run without models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from muses_eval.dashboards.web.charts import (
    DotRow,
    Point,
    ScatterPoint,
    Series,
    count_axis,
    dot_plot,
    heatmap,
    line_chart,
    percent_axis,
    rounded_axis,
    scatter_plot,
)
from muses_eval.dashboards.web.figure_source import source_line
from muses_eval.dashboards.web.model_styles import ModelStyles, model_styles
from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_lines
from muses_eval.dashboards.web.store_cache import RunSummary, StoreCache
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAX_LINES = 8
"""Maximum number of models in a figure, best first; more lines could not be distinguished."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of a figure."""

    caption: str
    chart: Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """One question, the query that answers it, its result and its charts."""

    name: str
    """Name of the figure's anchor and CSV file."""
    title: str
    """The question."""
    source: str
    """The corresponding figure of the paper; empty when there is none."""
    sql: str
    panels: tuple[Panel, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Rows of the query's result."""
    note: str = ""


def figures_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page of a run's figures.

    Path parameter: ``run``.  Query parameter: ``builtin=show`` also draws the built-in agents of a run with models.
    """
    run = cache.run(request.path_params["run"])
    shown = request.query_params.get("builtin") == "show"
    styles = model_styles(cache.runs())
    key = ("figures", shown, tuple(styles.of(model) for model in run.models))
    found = cache.get_or_compute(key, lambda: figures(cache, run, styles, with_builtin=shown), run.run_id)
    values = {
        "figures": found,
        "run": run.run_id,
        "protocol": run.protocol,
        "builtin_shown": shown,
        "mixed": 0 < len(run.builtin) < len(run.models),
    }
    return Page(f"Figures of {run.run_id}", "figures.html", values, run.run_id)


def figures(cache: StoreCache, run: RunSummary, styles: ModelStyles, *, with_builtin: bool = False) -> list[Figure]:
    """Returns the figures for which the run has data; they draw the best models, in the order of the leaderboard."""
    lines = leaderboard_lines(cache, run.run_id, "published", {})
    models = [line.model for line in lines if with_builtin or line.role is None]
    look = _Look(
        tuple(models or [line.model for line in lines]), run.builtin, styles, source_line(cache.store_url, run)
    )

    def read(connection: "DuckDBPyConnection") -> list[Figure]:
        found = (_figure(connection, look, name, *spec) for name, spec in _FIGURES.items())
        return [figure for figure in found if figure is not None]

    return cache.query(read, run.run_id)


@dataclass(frozen=True, slots=True)
class _Look:
    """What all figures of a run share."""

    models: tuple[str, ...]
    """Models that may be drawn, best first, then built-in agents."""
    builtin: frozenset[str]
    styles: ModelStyles
    source: str


Rows = Sequence[tuple[Any, ...]]
Draw = Callable[[Rows, _Look], tuple[Panel, ...]]


def _figure(  # noqa: PLR0913, PLR0917 - the parts of a figure
    connection: "DuckDBPyConnection", look: _Look, name: str, title: str, source: str, draw: Draw
) -> Figure | None:
    sql = _SQL[name]
    result = connection.execute(sql)
    header = tuple(column[0] for column in result.description)
    rows = tuple(result.fetchall())
    found = {row[0] for row in rows}
    models = [model for model in look.models if model in found and model not in look.builtin]
    builtin = [model for model in look.models if model in found and model in look.builtin]
    best = {model: place for place, model in enumerate((*models[:_MAX_LINES], *builtin))}
    if not best:
        return None
    chosen = sorted((row for row in rows if row[0] in best), key=lambda row: best[row[0]])
    note = ""
    if len(models) > _MAX_LINES:
        note = f"The {_MAX_LINES} best of {len(models)} models are drawn; the table lists all."
    return Figure(name, title, source, sql, draw(chosen, look), header, rows, note)


def _conflict(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    drawn = [
        DotRow(row[0], look.styles.of(row[0]), (_estimate(row[3], row[4]), _estimate(row[5], row[6]))) for row in rows
    ]
    caption = "Instruct accuracy where instructions agree, and where they conflict"
    return (
        Panel(
            caption,
            dot_plot(caption, ("aligned", "conflict"), drawn, percent_axis("accuracy, %"), source=look.source),
        ),
    )


def _rounds(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    return tuple(
        _by_model(
            f"{metric.capitalize()} up to each round",
            [(row[0], row[2], _estimate(row[3], row[4])) for row in rows if row[1] == metric],
            "round",
            look,
        )
        for metric in ("privacy", "utility")
        if any(row[1] == metric for row in rows)
    )


def _users(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    cells = sorted({(row[1], row[2]) for row in rows})
    return tuple(
        _by_model(
            f"{family}: {metric}, by number of users",
            [(row[0], row[3], _estimate(row[4], row[5])) for row in rows if (row[1], row[2]) == (family, metric)],
            "users",
            look,
        )
        for family, metric in cells
    )


def _by_model(caption: str, found: list[tuple[str, float, MeanEstimate | None]], label: str, look: _Look) -> Panel:
    series = [
        Series(
            name,
            look.styles.of(name),
            tuple(Point(x, estimate) for one, x, estimate in found if one == name and estimate is not None),
        )
        for name in dict.fromkeys(name for name, _, _ in found)
    ]
    axis = count_axis(label, [point.x for one in series for point in one.points])
    return Panel(caption, line_chart(caption, series, axis, percent_axis("%"), source=look.source))


def _disclosure(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    panels = []
    for metric in ("success", "turns"):
        metric_rows = [row for row in rows if row[2] == metric]
        names = list(dict.fromkeys(row[0] for row in metric_rows))
        estimates = {(row[0], row[1]): _estimate(row[3], row[4]) for row in metric_rows}
        drawn = [
            DotRow(name, look.styles.of(name), (estimates.get((name, "full")), estimates.get((name, "partial"))))
            for name in names
        ]
        if metric == "success":
            axis = percent_axis("success, %")
        else:
            highest = max((row[3] + 2 * (row[4] or 0.0) for row in metric_rows), default=1.0)
            axis = rounded_axis("turns", highest, lambda value: f"{value:.3g}")
        caption = f"Meeting {metric} with full and with partial disclosure"
        panels.append(Panel(caption, dot_plot(caption, ("full", "partial"), drawn, axis, source=look.source)))
    return tuple(panels)


def _attacks(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    panels = []
    attacks, templates = sorted({row[1] for row in rows}), sorted({row[2] for row in rows})
    for name in dict.fromkeys(row[0] for row in rows):
        estimates = {(row[1], row[2]): _estimate(row[3], row[4]) for row in rows if row[0] == name}
        cells = [[estimates.get((attack, template)) for template in templates] for attack in attacks]
        caption = f"Privacy of {name} by attack and template, %"
        panels.append(Panel(caption, heatmap(caption, attacks, templates, cells, source=look.source)))
    return tuple(panels)


def _costs(rows: Rows, look: _Look) -> tuple[Panel, ...]:
    points = [ScatterPoint(row[0], look.styles.of(row[0]), row[1], MeanEstimate(row[2], row[3])) for row in rows]
    order = sorted(range(len(points)), key=lambda i: (points[i].x, -points[i].y.mean))
    front: list[int] = []
    for index in order:
        if not front or points[index].y.mean > points[front[-1]].y.mean:
            front.append(index)
    x = rounded_axis("USD per episode", max(point.x for point in points), lambda value: f"${value:.3g}")
    caption = "Average score against cost; the line joins the models that no cheaper model beats"
    return (Panel(caption, scatter_plot(caption, points, front, x, percent_axis("average, %"), source=look.source)),)


def _estimate(mean: float | None, se: float | None) -> MeanEstimate | None:
    return None if mean is None else MeanEstimate(mean, se)


_SQL = {
    "conflict": """\
select model, gap, gap_se, aligned, aligned_se, conflict, conflict_se
from conflict_gap where scoring = 'published' order by conflict desc nulls last, model""",
    "rounds": """\
select model, metric, round, mean, se, episodes
from privacy_by_round where scoring = 'published' order by metric, model, round""",
    "disclosure": """\
select model, disclosure, metric, mean, se, episodes
from meeting_disclosure where scoring = 'published' order by metric, model, disclosure""",
    "attacks": """\
select model, attack, template, mean, se, episodes
from by_attack_and_template where scoring = 'published' and metric = 'privacy' and attack is not null
order by model, attack, template""",
    "users": """\
select model, family, metric, num_users, mean, se, episodes
from by_num_users where scoring = 'published' order by family, metric, model, num_users""",
    "cost": """\
select model, sum(cost_usd) / count(*) as usd_an_episode, any_value(avg) as average, any_value(avg_se) as se
from episodes join leaderboard using (run_id, model)
where scoring = 'published' and outcome = 'scored' and not list_contains(flags, 'reused') -- copies cost nothing
group by model having count(cost_usd) = count(*) and sum(cost_usd) > 0 and any_value(avg) is not null
order by usd_an_episode""",
}
_FIGURES: Mapping[str, tuple[str, str, Draw]] = {
    "conflict": ("How much do conflicting instructions cost?", "figure 3", _conflict),
    "rounds": ("Does privacy hold over the rounds?", "figure 4", _rounds),
    "disclosure": ("What if calendars are only partly known?", "figure 5", _disclosure),
    "attacks": ("Which attack succeeds, in which template?", "figure 8", _attacks),
    "users": ("How does it scale with the number of users?", "figure 9", _users),
    "cost": ("What does a higher score cost?", "", _costs),
}
