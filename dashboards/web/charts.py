"""Charts as SVG text, without scripts or external resources.

A chart is a figure on its own (:mod:`muses_eval.dashboards.web.chart_svg`): saved from a page, it needs no stylesheet.
Every chart has a title for screen readers, and the pages print its numbers in a table.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup
from muses_eval.dashboards.tables.text_table import one_line
from muses_eval.dashboards.web.chart_svg import (
    LETTER,
    LegendEntry,
    Plot,
    chart,
    line,
    mark,
    painted,
    safe,
    short_name,
    text,
)
from muses_eval.dashboards.web.series_style import GREY, SeriesStyle
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

Z_95 = 1.96
"""Half width of a 95 % interval, in standard errors."""
FULL_SHARE = 0.97
"""Share of a limit from which on it is drawn as exhausted."""
_WIDTH = 440
"""Width of a chart in px: a column of a paper, where its text has about 7 pt."""
_GROUP = SeriesStyle(GREY, 0, 0)
"""Style of the legend of groups, whose markers have the colours of their rows."""


@dataclass(frozen=True, slots=True)
class Point:
    """One observation of a series."""

    x: float
    y: MeanEstimate


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one series, such as a model."""

    name: str
    style: SeriesStyle
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row of :func:`dot_plot`: a name and an estimate for each group; None when nothing was scored."""

    name: str
    style: SeriesStyle
    estimates: tuple[MeanEstimate | None, MeanEstimate | None]


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """One named point of :func:`scatter_plot`."""

    name: str
    style: SeriesStyle
    x: float
    y: MeanEstimate


@dataclass(frozen=True, slots=True)
class Axis:
    """Label, range, ticks and tick format of an axis."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    show: Callable[[float], str]


def percent_axis(label: str) -> Axis:
    """Returns an axis from 0 to 100 %."""
    return Axis(label, 0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0), lambda value: f"{100 * value:.0f}")


def count_axis(label: str, values: Iterable[float]) -> Axis:
    """Returns an axis of whole numbers around the smallest and the largest value, with at most ten ticks."""
    found = sorted({round(value) for value in values}) or [0]
    step = max(1, -(-len(found) // 10))
    margin = 0.06 * (found[-1] - found[0]) or 1.0  # several series stand side by side at the ends
    return Axis(
        label, found[0] - margin, found[-1] + margin, tuple(map(float, found[::step])), lambda value: f"{value:.0f}"
    )


def rounded_axis(label: str, highest: float, show: Callable[[float], str]) -> Axis:
    """Returns an axis from 0 to a round number that is at least *highest*, in five steps."""
    magnitude = 1.0
    while magnitude > highest > 0:
        magnitude /= 10
    while magnitude * 10 < highest:
        magnitude *= 10
    step = next((f * magnitude for f in (0.25, 0.5, 1, 2, 2.5) if f * magnitude * 5 >= highest), magnitude)
    return Axis(label, 0.0, 5 * step, tuple(index * step for index in range(6)), show)


def interval_bar(estimate: MeanEstimate | None) -> Markup:
    """Returns a small bar from 0 to 100 with the mean and its 95 % interval, for a table cell."""
    if estimate is None:
        return Markup()
    half = Z_95 * (estimate.se or 0.0)
    low, high = max(0.0, estimate.mean - half), min(1.0, estimate.mean + half)
    return safe(
        '<svg class="interval" viewBox="0 0 88 8" width="88" height="8" aria-hidden="true">',
        line("track", 4, 4, 84, 4),
        line("span", 4 + 80 * low, 4, 4 + 80 * high, 4),
        f'<circle class="mean" cx="{4 + 80 * estimate.mean:.1f}" cy="4" r="2.6"/></svg>',
    )


def usage_bar(used: float, limit: float) -> Markup:
    """Returns a small bar that shows which share of *limit* is used, for a table cell."""
    share = min(1.0, max(0.0, used / limit)) if limit > 0 else 1.0
    kind = "level full" if share > FULL_SHARE else "level"
    return safe(
        f'<svg class="{kind}" viewBox="0 0 96 8" width="96" height="8" aria-hidden="true">',
        line("track", 4, 4, 92, 4),
        line("span", 4, 4, 4 + 88 * share, 4),
        "</svg>",
    )


@dataclass(frozen=True, slots=True)
class DifferenceScale:
    """Draws differences around zero on a common scale, for table cells."""

    reach: float
    """Largest absolute difference on the scale."""

    @classmethod
    def over(cls, reaches: Sequence[float]) -> "DifferenceScale":
        """Returns the smallest scale that shows all *reaches* (absolute differences); its reach is at least 0.02."""
        return cls(max((*reaches, 0.02)))

    def draw(self, mean: float, bounds: tuple[float, float] | None) -> Markup:
        """Returns the bar of one difference and its interval."""
        low, high = bounds or (mean, mean)
        return safe(
            '<svg class="interval gap" viewBox="0 0 204 12" width="204" height="12" aria-hidden="true">',
            line("track", 2, 6, 202, 6),
            line("zero", 102, 0, 102, 12),
            line("span", self._x_px(low), 6, self._x_px(high), 6),
            f'<circle class="mean" cx="{self._x_px(mean):.1f}" cy="6" r="3"/></svg>',
        )

    def _x_px(self, value: float) -> float:
        return 102 + 100 * min(1.0, max(-1.0, value / self.reach))


def line_chart(  # noqa: PLR0913 - the parts of a chart
    title: str, series: Sequence[Series], x: Axis, y: Axis, *, source: str = "", width: int = _WIDTH
) -> Markup:
    """Returns a line chart with markers, 95 % intervals and a legend in the order of *series*.

    *source*: where the data are from; *width*: in px.
    """
    frame = _Frame(width, 280, left=44, right=24, top=24, bottom=42, x=x, y=y)
    body = [frame.grid()]
    spread = 3.2 * (len(series) - 1) / 2
    for index, one in enumerate(series):
        shift = 3.2 * index - spread  # intervals of several series at one x stand side by side
        spots = [(frame.x_px(point.x) + shift, point.y) for point in one.points]
        path = " ".join(f"{px:.1f},{frame.y_px(estimate.mean):.1f}" for px, estimate in spots)
        body.append(f'<polyline {painted(f"line {one.style.stroke}")} points="{path}"/>')
        for px, estimate in spots:
            tooltip = _tooltip(one.name, estimate)
            body += [frame.whisker(px, estimate, one.style), mark(one.style, px, frame.y_px(estimate.mean), tooltip)]
    legend = [LegendEntry(one.name, one.style) for one in series]
    return chart(title, Plot(frame.width, frame.height, body, legend), source)


def dot_plot(title: str, groups: tuple[str, str], rows: Sequence[DotRow], axis: Axis, *, source: str = "") -> Markup:
    """Returns a dot plot: a row for each name, with a marker and a 95 % interval for each of two groups.

    The marker of the first group is filled, that of the second hollow.
    """
    row_height, left = 44, 8
    height = 4 + row_height * len(rows) + 40
    frame = _Frame(_WIDTH, height, left=left, right=16, top=4, bottom=40, x=axis, y=percent_axis(""))
    body = [frame.vertical_grid()]
    for number, row in enumerate(rows):
        top = 4 + row_height * number
        body.append(text("name", left, top + 14, _name(row.name)))
        body.append(line("rule", left, top + 28, _WIDTH - 16, top + 28))
        for index, estimate in enumerate(row.estimates):
            if estimate is not None:
                level = top + 24.5 + 7 * index
                tooltip = _tooltip(f"{row.name}, {groups[index]}", estimate, axis.show)
                body.append(frame.horizontal_whisker(level, estimate, row.style))
                body.append(mark(row.style, frame.x_px(estimate.mean), level, tooltip, filled=index == 0))
    legend = [LegendEntry(group, _GROUP, filled=index == 0) for index, group in enumerate(groups)]
    return chart(title, Plot(_WIDTH, height, body, legend), source)


def heatmap(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[MeanEstimate | None]],
    *,
    source: str = "",
) -> Markup:
    """Returns a heat map of shares; each cell prints its number, and darker is higher."""
    left, top, down = 124, 26, 42
    across = max(64.0, (_WIDTH - left) / len(columns))
    body = [
        text("tick", left + across * (index + 0.5), 16, escape(short_name(name, int(across / LETTER))), "middle")
        for index, name in enumerate(columns)
    ]
    for number, name in enumerate(rows):
        y = top + down * number
        body.append(text("name", left - 8, y + 25, escape(short_name(name, int(left / LETTER))), "end"))
        for index, estimate in enumerate(cells[number]):
            x = left + across * index
            shade = "none" if estimate is None else f"h{min(9, int(10 * estimate.mean))}"
            place = f'x="{x + 1:.1f}" y="{y + 1}" width="{across - 2:.1f}" height="{down - 2}"'
            body.append(f'<rect {painted(f"cell {shade}")} {place} rx="3"/>')
            mean = "–" if estimate is None else f"{100 * estimate.mean:.1f}"
            body.append(text(f"cell-text {shade}", x + across / 2, y + 19, mean, "middle"))
            if estimate is not None and estimate.se is not None:
                error = f"± {100 * estimate.se:.1f}"
                body.append(text(f"cell-error {shade}", x + across / 2, y + 33, error, "middle"))
    return chart(title, Plot(left + across * len(columns), top + down * len(rows) + 8, body), source)


def scatter_plot(  # noqa: PLR0913 - the parts of a chart
    title: str, points: Sequence[ScatterPoint], front: Sequence[int], x: Axis, y: Axis, *, source: str = ""
) -> Markup:
    """Returns a scatter plot of named points with vertical 95 % intervals.

    *front*: indices of the points that a line joins, in order.
    """
    frame = _Frame(_WIDTH, 300, left=44, right=24, top=24, bottom=44, x=x, y=y)
    spots = [(frame.x_px(point.x), frame.y_px(point.y.mean)) for point in points]
    path = " ".join(f"{spots[index][0]:.1f},{spots[index][1]:.1f}" for index in front)
    body = [frame.grid(), f'<polyline {painted("front")} points="{path}"/>']
    for point, (px, py) in zip(points, spots, strict=True):
        body.append(frame.whisker(px, point.y, point.style))
        body.append(mark(point.style, px, py, _tooltip(point.name, point.y)))
    legend = [LegendEntry(point.name, point.style) for point in points]
    return chart(title, Plot(frame.width, frame.height, body, legend), source)


def model_key(style: SeriesStyle) -> Markup:
    """Returns the marker of a model, to stand beside its name."""
    return safe(
        '<svg class="key" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">', mark(style, 7, 7), "</svg>"
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot area of a chart, in px, and its axes."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x: Axis
    y: Axis

    def x_px(self, value: float) -> float:
        share = (value - self.x.low) / (self.x.high - self.x.low)
        return self.left + min(1.0, max(0.0, share)) * (self.width - self.left - self.right)

    def y_px(self, value: float) -> float:
        share = (value - self.y.low) / (self.y.high - self.y.low)
        return self.height - self.bottom - min(1.0, max(0.0, share)) * (self.height - self.top - self.bottom)

    def grid(self) -> str:
        """Returns both axes with their labels, and horizontal grid lines."""
        right, floor = self.width - self.right, self.height - self.bottom
        parts = []
        for tick in self.y.ticks:
            level = self.y_px(tick)
            parts.append(line("rule", self.left, level, right, level))
            parts.append(text("tick", self.left - 8, level + 4, self.y.show(tick), "end"))
        parts += [text("tick", self.x_px(tick), floor + 18, self.x.show(tick), "middle") for tick in self.x.ticks]
        parts.append(text("label", (self.left + right) / 2, self.height - 6, escape(one_line(self.x.label)), "middle"))
        parts.append(text("label", 4, 10, escape(one_line(self.y.label))))
        return "".join(parts)

    def vertical_grid(self) -> str:
        """Returns the x axis with its label, and vertical grid lines."""
        floor, right = self.height - self.bottom, self.width - self.right
        parts = []
        for tick in self.x.ticks:
            x = self.x_px(tick)
            parts.append(line("rule", x, self.top, x, floor))
            parts.append(text("tick", x, floor + 18, self.x.show(tick), "middle"))
        parts.append(text("label", (self.left + right) / 2, self.height - 4, escape(one_line(self.x.label)), "middle"))
        return "".join(parts)

    def whisker(self, px: float, estimate: MeanEstimate, style: SeriesStyle) -> str:
        """Returns the 95 % interval as a vertical line."""
        half = Z_95 * (estimate.se or 0.0)
        kind = f"whisker s{style.colour}"
        return line(kind, px, self.y_px(estimate.mean - half), px, self.y_px(estimate.mean + half))

    def horizontal_whisker(self, y: float, estimate: MeanEstimate, style: SeriesStyle) -> str:
        """Returns the 95 % interval as a horizontal line."""
        half = Z_95 * (estimate.se or 0.0)
        kind = f"whisker s{style.colour}"
        return line(kind, self.x_px(estimate.mean - half), y, self.x_px(estimate.mean + half), y)


def _name(name: str) -> str:
    """Returns *name* on one line, shortened and escaped."""
    return escape(short_name(name))


def _percent(estimate: MeanEstimate) -> str:
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def _tooltip(name: str, estimate: MeanEstimate, show: Callable[[float], str] | None = None) -> str:
    return f"{one_line(name)}: {_percent(estimate) if show is None else show(estimate.mean)}"
