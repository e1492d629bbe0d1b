"""The SVG of charts: painted elements, and a chart with its title, legend and source line.

Each element has a CSS class, by which the stylesheet of the pages gives it the colours of their theme, and presentation
attributes, by which it looks right without a stylesheet: a saved chart needs nothing but itself.  All external text is
escaped where it becomes an element.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape

from markupsafe import Markup
from muses_eval.dashboards.tables.text_table import one_line
from muses_eval.dashboards.web.series_style import COLOURS, DASHES, GREY_COLOUR, SeriesStyle

FONT_SIZE = 13
"""Font size of a chart in px; at a width of 440 px, about 7 pt in a column of 8.5 cm."""
LETTER = 7.6
"""Width of an average letter of this size in px, in a wide font."""
_FONT = 'font-family="Helvetica, Arial, sans-serif"'
_INK, _SOFT, _RULE, _PAPER, _HEAT = "#1c1d20", "#5d6068", "#e3e1dc", "#ffffff", "#0b6e69"
_SHADES = (0.04, 0.1, 0.18, 0.27, 0.36, 0.46, 0.57, 0.7, 0.84, 1.0)
"""Opacity of the cells of a heat map, from the lowest to the highest value."""
_ROW = 20
"""Height of a row of the legend in px."""
_PAINT: Mapping[str, Mapping[str, str]] = {
    "title": {"fill": _INK, "font-size": "15", "font-weight": "600"},
    "name": {"fill": _INK},
    "cell-text": {"fill": _INK},
    "cell-error": {"fill": _INK, "font-size": "11"},
    "tick": {"fill": _SOFT, "font-size": "12"},
    "label": {"fill": _SOFT},
    "source": {"fill": _SOFT, "font-size": "10"},
    "rule": {"stroke": _RULE},
    "line": {"fill": "none", "stroke-width": "1.8"},
    "front": {"fill": "none", "stroke": _SOFT, "stroke-width": "1.2", "stroke-dasharray": "2 3"},
    "whisker": {"stroke-width": "1.5", "opacity": "0.6"},
    "mark": {"stroke": _PAPER, "stroke-width": "1"},
    "cell": {"fill": _HEAT},
    "backdrop": {"fill": _PAPER},
}


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One name of a legend and its mark."""

    name: str
    style: SeriesStyle
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Plot:
    """The drawing of a chart, without title, legend and source."""

    width: float
    height: float
    body: Sequence[str]
    legend: Sequence[LegendEntry] = field(default=())


def chart(title: str, plot: Plot, source: str = "") -> Markup:
    """Returns a chart as one SVG: its title, its legend, the plot, and in the last lines where its data are from."""
    parts, level = [], 16.0
    for line in textwrap.wrap(one_line(title), int(plot.width / 9.2)) or [""]:
        parts.append(text("title", 0, level, escape(line)))
        level += 19
    level -= 8
    x = 0.0
    for entry in plot.legend:
        wide = 42 + LETTER * len(short_name(entry.name)) + 10
        if x and x + wide > plot.width:
            x, level = 0.0, level + _ROW
        parts.append(f'<g transform="translate({x:.1f} {level:.1f})">{_key(entry)}</g>')
        parts.append(text("name", x + 34, level + 11, escape(short_name(entry.name))))
        x += wide
    level += _ROW + 4 if plot.legend else 0
    parts.append(f'<g transform="translate(0 {level:.1f})">{"".join(plot.body)}</g>')
    level += plot.height
    for line in textwrap.wrap(one_line(source), int(plot.width / 5.9)):
        level += 14
        parts.append(text("source", 0, level, escape(line)))
    height = level + 6
    size = f'viewBox="0 0 {plot.width:.0f} {height:.0f}" width="{plot.width:.0f}" height="{height:.0f}"'
    head = f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" {size} {_FONT} font-size="{FONT_SIZE}" role="img">'
    backdrop = f'<rect {painted("backdrop")} width="{plot.width:.0f}" height="{height:.0f}"/>'
    return safe(head, f"<title>{escape(one_line(title))}</title>", backdrop, *parts, "</svg>")


@lru_cache(256)
def painted(kind: str) -> str:
    """Returns the attributes of an element of a *kind*.

    A kind is a name and its modifiers, such as ``line s2 d1``, ``mark s0 hollow`` or ``cell h3``.
    """
    base, *modifiers = kind.split()
    paint = dict(_PAINT.get(base, {}))
    for modifier in modifiers:
        number = modifier[1:]
        match modifier[0], number.isdigit():
            case "s", True:
                paint["fill" if base == "mark" else "stroke"] = (*COLOURS, GREY_COLOUR)[int(number)]
            case "d", True if DASHES[int(number)] and base == "line":
                paint["stroke-dasharray"] = DASHES[int(number)]
            case "h", True if base == "cell":
                paint["fill-opacity"] = str(_SHADES[int(number)])
            case "h", True if int(number) > 6:
                paint["fill"] = _PAPER
    if "hollow" in modifiers:
        paint |= {"stroke": paint["fill"], "fill": _PAPER, "stroke-width": "1.8"}
    if "none" in modifiers:
        paint |= {"fill": "none", "stroke": _RULE}
    return " ".join((f'class="{kind}"', *(f'{name}="{value}"' for name, value in paint.items())))


def text(kind: str, x: float, y: float, content: str, anchor: str = "start") -> str:
    """Returns a text element; *content* is already escaped."""
    return f'<text {painted(kind)} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{content}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """Returns a line element."""
    return f'<line {painted(kind)} x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def mark(style: SeriesStyle, x: float, y: float, tooltip: str = "", *, filled: bool = True) -> str:
    """Returns the marker of a series; its shape and its colour are those of the style."""
    name, shape = (
        ("circle", f'cx="{x:.1f}" cy="{y:.1f}" r="4"'),
        ("rect", f'x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2"'),
        ("path", f'd="M{x:.1f} {y - 4.8:.1f}l4.6 8h-9.2z"'),
        ("path", f'd="M{x:.1f} {y - 5:.1f}l5 5-5 5-5-5z"'),
        ("path", f'd="M{x:.1f} {y + 4.8:.1f}l4.6-8h-9.2z"'),
        ("path", f'd="M{x - 1.6:.1f} {y - 5:.1f}h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z"'),
    )[style.shape]
    kind = f"mark s{style.colour}{'' if filled else ' hollow'}"
    spoken = f"<title>{escape(tooltip)}</title>" if tooltip else ""
    return f"<{name} {painted(kind)} {shape}>{spoken}</{name}>"


def short_name(name: str, longest: int = 34) -> str:
    """Returns *name* on one line, shortened to *longest* characters."""
    found = one_line(name)
    return found if len(found) <= longest else f"{found[: longest - 1]}…"


def _key(entry: LegendEntry) -> str:
    if not entry.filled:
        return mark(entry.style, 14, 7, filled=False)
    return line(f"line {entry.style.stroke}", 0, 7, 28, 7) + mark(entry.style, 14, 7)


def safe(*parts: str) -> Markup:
    """Returns *parts*, in which all external text is already escaped, as markup."""
    return Markup("".join(parts))  # noqa: S704 - see above
