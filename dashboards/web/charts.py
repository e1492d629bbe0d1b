"""Charts as SVG text, without scripts or external resources.

Colours, strokes and fonts are CSS classes of the stylesheet; positions are attributes, since the server's content
security policy forbids inline styles.  Series differ by colour, dash and marker, so that none depends on colour alone.
Every chart has a title for screen readers, and the pages print its numbers in a table.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup
from muses_eval.dashboards.tables.text_table import one_line
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

Z_95 = 1.96
"""Half width of a 95 % interval, in standard errors."""
FULL_SHARE = 0.97
"""Share of a limit from which on it is drawn as exhausted."""
SERIES_STYLES = 8
"""Number of series styles in the stylesheet; further series repeat them."""
_MAX_NAME_CHARS = 34
_NAME_WIDTH, _NAME_HEIGHT = 180.0, 13.0
"""Space that a label takes beside its marker, in px."""


@dataclass(frozen=True, slots=True)
class Point:
    """One observation of a series."""

    x: float
    y: MeanEstimate


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one series, such as a model."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row of :func:`dot_plot`: a name and an estimate for each group; None when nothing was scored."""

    name: str
    estimates: tuple[MeanEstimate | None, ...]


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
    """Returns an axis of whole numbers from the smallest to the largest value, with at most ten ticks."""
    found = sorted({round(value) for value in values}) or [0]
    step = max(1, -(-len(found) // 10))
    high = found[-1] if found[-1] > found[0] else found[0] + 1
    return Axis(label, float(found[0]), float(high), tuple(map(float, found[::step])), lambda value: f"{value:.0f}")


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
    return _safe(
        '<svg class="interval" viewBox="0 0 88 8" width="88" height="8" aria-hidden="true">',
        _line("track", 4, 4, 84, 4),
        _line("span", 4 + 80 * low, 4, 4 + 80 * high, 4),
        f'<circle class="mean" cx="{4 + 80 * estimate.mean:.1f}" cy="4" r="2.6"/></svg>',
    )


def usage_bar(used: float, limit: float) -> Markup:
    """Returns a small bar that shows which share of *limit* is used, for a table cell."""
    share = min(1.0, max(0.0, used / limit)) if limit > 0 else 1.0
    kind = "level full" if share > FULL_SHARE else "level"
    return _safe(
        f'<svg class="{kind}" viewBox="0 0 96 8" width="96" height="8" aria-hidden="true">',
        _line("track", 4, 4, 92, 4),
        _line("span", 4, 4, 4 + 88 * share, 4),
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
        return _safe(
            '<svg class="interval gap" viewBox="0 0 204 12" width="204" height="12" aria-hidden="true">',
            _line("track", 2, 6, 202, 6),
            _line("zero", 102, 0, 102, 12),
            _line("span", self._x_px(low), 6, self._x_px(high), 6),
            f'<circle class="mean" cx="{self._x_px(mean):.1f}" cy="6" r="3"/></svg>',
        )

    def _x_px(self, value: float) -> float:
        return 102 + 100 * min(1.0, max(-1.0, value / self.reach))


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis) -> Markup:
    """Returns a line chart with markers and 95 % intervals; *series* are in the order of the legend."""
    frame = _Frame(720, 312, left=52, right=38, top=26, bottom=44, x=x, y=y)
    body = [frame.grid()]
    spread = 3.2 * (len(series) - 1) / 2
    for index, one in enumerate(series):
        shift = 3.2 * index - spread  # intervals of several series at one x stand side by side
        style = f"s{index % SERIES_STYLES}"
        spots = [(frame.x_px(point.x) + shift, point.y) for point in one.points]
        path = " ".join(f"{px:.1f},{frame.y_px(estimate.mean):.1f}" for px, estimate in spots)
        body.append(f'<polyline class="line {style}" points="{path}"/>')
        for px, estimate in spots:
            tooltip = _tooltip(one.name, estimate)
            body += [frame.whisker(px, estimate, style), marker(index, px, frame.y_px(estimate.mean), tooltip)]
    return _chart(title, frame.width, frame.height, body)


def dot_plot(title: str, groups: Sequence[str], rows: Sequence[DotRow], axis: Axis) -> Markup:
    """Returns a dot plot: a row for each name, with a marker and a 95 % interval for each group."""
    row_height, left, width = 30, 250, 720
    height = 16 + row_height * len(rows) + 40
    frame = _Frame(width, height, left=left, right=20, top=16, bottom=40, x=axis, y=percent_axis(""))
    body = [frame.vertical_grid()]
    for number, row in enumerate(rows):
        middle = 16 + row_height * number + row_height / 2
        body.append(_text("name", left - 12, middle + 4, _name(row.name), "end"))
        body.append(_line("rule", left, middle, width - 20, middle))
        for index, estimate in enumerate(row.estimates):
            if estimate is not None:
                level = middle + 7 * (index - (len(groups) - 1) / 2)
                tooltip = _tooltip(f"{row.name}, {groups[index]}", estimate, axis.show)
                body.append(frame.horizontal_whisker(level, estimate, f"s{index % SERIES_STYLES}"))
                body.append(marker(index, frame.x_px(estimate.mean), level, tooltip))
    return _chart(title, width, height, body)


def heatmap(
    title: str, rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[MeanEstimate | None]]
) -> Markup:
    """Returns a heat map of shares; each cell prints its number, and darker is higher."""
    left, top, across, down = 150, 30, 118, 40
    body = [
        _text("tick", left + across * (index + 0.5), 20, _name(name), "middle") for index, name in enumerate(columns)
    ]
    for number, name in enumerate(rows):
        y = top + down * number
        body.append(_text("name", left - 10, y + 25, _name(name), "end"))
        for index, estimate in enumerate(cells[number]):
            x = left + across * index
            shade = "none" if estimate is None else f"h{min(9, int(10 * estimate.mean))}"
            figure = "–" if estimate is None else _percent(estimate)
            place = f'x="{x + 1}" y="{y + 1}" width="{across - 2}" height="{down - 2}"'
            body.append(f'<rect class="cell {shade}" {place} rx="3"/>')
            body.append(_text(f"cell-text {shade}", x + across / 2, y + 25, figure, "middle"))
    return _chart(title, left + across * len(columns) + 8, top + down * len(rows) + 8, body)


def scatter_plot(
    title: str, points: Sequence[tuple[str, float, MeanEstimate]], front: Sequence[int], x: Axis, y: Axis
) -> Markup:
    """Returns a scatter plot of named points with vertical 95 % intervals.

    *front*: indices of the points that a line joins, in order.
    """
    frame = _Frame(720, 370, left=56, right=150, top=26, bottom=46, x=x, y=y)
    spots = [(frame.x_px(across), frame.y_px(estimate.mean)) for _, across, estimate in points]
    path = " ".join(f"{spots[index][0]:.1f},{spots[index][1]:.1f}" for index in front)
    body = [frame.grid(), f'<polyline class="front" points="{path}"/>']
    levels = _label_levels(spots)
    for index, (name, _, estimate) in enumerate(points):
        (px, py), shape = spots[index], 0 if index in front else SERIES_STYLES - 1
        body.append(frame.whisker(px, estimate, f"s{shape}"))
        body.append(marker(shape, px, py, _tooltip(name, estimate)))
        body.append(_text("name", px + 9, levels[index] + 4, _name(name)))
    return _chart(title, frame.width, frame.height, body)


def _label_levels(spots: Sequence[tuple[float, float]]) -> list[float]:
    """Returns the y position of each spot's label: that of the spot, or lower when labels would overlap."""
    placed: dict[int, tuple[float, float]] = {}
    for index in sorted(range(len(spots)), key=lambda i: spots[i][1]):
        x, level = spots[index]
        near = sorted(other for beside, other in placed.values() if abs(beside - x) < _NAME_WIDTH)
        for other in near:
            level = max(level, other + _NAME_HEIGHT) if abs(other - level) < _NAME_HEIGHT else level
        placed[index] = x, level
    return [placed[index][1] for index in range(len(spots))]


def marker(index: int, x: float, y: float, tooltip: str) -> str:
    """Returns the marker of a series; its shape changes with its colour."""
    name, shape = (
        ("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="4"'),
        ("rect", f'x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2"'),
        ("path", f'd="M{x:.1f} {y - 4.8:.1f}l4.6 8h-9.2z"'),
        ("path", f'd="M{x:.1f} {y - 5:.1f}l5 5-5 5-5-5z"'),
    )[index % 4]
    return f'<{name} class="mark s{index % SERIES_STYLES}" {shape}><title>{escape(tooltip)}</title></{name}>'


def legend_key(index: int) -> Markup:
    """Returns the line and marker of a series, for a legend."""
    return _safe(
        '<svg class="key" viewBox="0 0 28 14" width="28" height="14" aria-hidden="true">',
        _line(f"line s{index % SERIES_STYLES}", 0, 7, 28, 7),
        marker(index, 14, 7, ""),
        "</svg>",
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
            parts.append(_line("rule", self.left, level, right, level))
            parts.append(_text("tick", self.left - 8, level + 4, self.y.show(tick), "end"))
        parts += [_text("tick", self.x_px(tick), floor + 18, self.x.show(tick), "middle") for tick in self.x.ticks]
        parts.append(_text("label", (self.left + right) / 2, self.height - 6, escape(one_line(self.x.label)), "middle"))
        parts.append(_text("label", 4, 10, escape(one_line(self.y.label))))
        return "".join(parts)

    def vertical_grid(self) -> str:
        """Returns the x axis with its label, and vertical grid lines."""
        floor, right = self.height - self.bottom, self.width - self.right
        parts = []
        for tick in self.x.ticks:
            x = self.x_px(tick)
            parts.append(_line("rule", x, self.top, x, floor))
            parts.append(_text("tick", x, floor + 18, self.x.show(tick), "middle"))
        parts.append(_text("label", (self.left + right) / 2, self.height - 4, escape(one_line(self.x.label)), "middle"))
        return "".join(parts)

    def whisker(self, px: float, estimate: MeanEstimate, style: str) -> str:
        """Returns the 95 % interval as a vertical line."""
        half = Z_95 * (estimate.se or 0.0)
        return _line(f"whisker {style}", px, self.y_px(estimate.mean - half), px, self.y_px(estimate.mean + half))

    def horizontal_whisker(self, y: float, estimate: MeanEstimate, style: str) -> str:
        """Returns the 95 % interval as a horizontal line."""
        half = Z_95 * (estimate.se or 0.0)
        return _line(f"whisker {style}", self.x_px(estimate.mean - half), y, self.x_px(estimate.mean + half), y)


def _text(kind: str, x: float, y: float, content: str, anchor: str = "start") -> str:
    """Returns a text element; *content* is already escaped."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _chart(title: str, width: float, height: float, body: Iterable[str]) -> Markup:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    named = f"<title>{escape(one_line(title))}</title>"
    head = f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" {size} role="img">{named}'
    return _safe(head, *body, "</svg>")


def _safe(*parts: str) -> Markup:
    """Returns *parts*, in which all external text is already escaped, as markup."""
    return Markup("".join(parts))  # noqa: S704 - see above


def _name(name: str) -> str:
    """Returns *name* on one line, shortened and escaped."""
    text = one_line(name)
    return escape(text if len(text) <= _MAX_NAME_CHARS else f"{text[: _MAX_NAME_CHARS - 1]}…")


def _percent(estimate: MeanEstimate) -> str:
    error = "" if estimate.se is None else f" ± {100 * estimate.se:.1f}"
    return f"{100 * estimate.mean:.1f}{error}"


def _tooltip(name: str, estimate: MeanEstimate, show: Callable[[float], str] | None = None) -> str:
    return f"{one_line(name)}: {_percent(estimate) if show is None else show(estimate.mean)}"
