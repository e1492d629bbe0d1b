"""Charts are well-formed, markers are at the right positions, and names are text."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st
from muses_eval.dashboards.web.charts import (
    DifferenceScale,
    DotRow,
    Point,
    ScatterPoint,
    Series,
    count_axis,
    dot_plot,
    heatmap,
    interval_bar,
    line_chart,
    percent_axis,
    rounded_axis,
    scatter_plot,
    usage_bar,
)
from muses_eval.dashboards.web.series_style import SeriesStyle
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

from tests.dashboards.web.site import HOSTILE

NAMESPACE = "{http://www.w3.org/2000/svg}"
ESTIMATES = st.builds(MeanEstimate, st.floats(0, 1), st.none() | st.floats(0, 1))


def drawn(name: str, estimate: MeanEstimate) -> list[str]:
    """Returns a chart of every kind, in which every text is *name*."""
    axis, style = count_axis(name, [1, 2]), SeriesStyle.numbered(3)
    line = Series(name, style, (Point(1, estimate), Point(2, estimate)))
    point = ScatterPoint(name, style, 0.5, estimate)
    return [
        line_chart(name, [line], axis, percent_axis(name), source=name),
        dot_plot(name, (name, name), [DotRow(name, style, (estimate, None))], percent_axis(name), source=name),
        heatmap(name, [name], [name], [[estimate], [None]][:1], source=name),
        scatter_plot(name, [point], [0], rounded_axis(name, 1.0, str), percent_axis(name), source=name),
    ]


@given(st.text(), ESTIMATES)
def test_every_chart_is_well_formed_for_any_text(name: str, estimate: MeanEstimate) -> None:
    for chart in drawn(name, estimate):
        ET.fromstring(chart)


def test_names_stay_text() -> None:
    for chart in drawn(HOSTILE, MeanEstimate(0.5, 0.1)):
        kinds = {element.tag.removeprefix(NAMESPACE) for element in ET.fromstring(chart).iter()}
        assert kinds <= {"svg", "title", "text", "line", "polyline", "circle", "rect", "path", "g"}
        assert "\u202e" not in chart
        assert "\x1b" not in chart


@pytest.mark.parametrize(
    ("mean", "se", "low", "high"),
    [(0.5, 0.1, 0.304, 0.696), (0.99, 0.1, 0.794, 1.0), (0.0, None, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0)],
)
def test_an_interval_is_a_mean_and_1_96_errors_within_0_and_1(
    mean: float, se: float | None, low: float, high: float
) -> None:
    track, span, dot = ET.fromstring(interval_bar(MeanEstimate(mean, se)))
    start, width = float(track.attrib["x1"]), float(track.attrib["x2"]) - float(track.attrib["x1"])
    places = [float(span.attrib["x1"]), float(dot.attrib["cx"]), float(span.attrib["x2"])]
    assert [(place - start) / width for place in places] == pytest.approx([low, mean, high], abs=0.001)


def test_what_was_not_scored_has_no_bar() -> None:
    assert interval_bar(None) == ""


def test_differences_are_drawn_around_zero() -> None:
    scale = DifferenceScale.over([0.2, 0.4])
    at = [
        float(ET.fromstring(scale.draw(mean, None)).find("circle").attrib["cx"])  # type: ignore[union-attr]
        for mean in (-0.4, 0.0, 0.2)
    ]
    assert at == [2.0, 102.0, 152.0]


@given(st.floats(1e-6, 1e6))
def test_an_axis_covers_its_values(highest: float) -> None:
    axis = rounded_axis("", highest, str)
    assert axis.high >= highest
    assert axis.high <= 12.5 * highest


def test_a_chart_is_a_figure_without_a_stylesheet() -> None:
    """Every shape and text has its paint as attributes; title, legend and source are part of the image."""
    for chart in drawn("a model", MeanEstimate(0.5, 0.1)):
        root = ET.fromstring(chart)
        assert root.attrib["font-size"] == "13"
        for element in root.iter():
            kind = element.tag.removeprefix(NAMESPACE)
            if kind in ("text", "circle", "rect", "path", "polyline"):
                assert "fill" in element.attrib, element.attrib
            elif kind == "line":
                assert "stroke" in element.attrib, element.attrib
            assert "style" not in element.attrib
        texts = {(text.attrib["class"].split()[0], text.text) for text in root.iter(f"{NAMESPACE}text")}
        assert {("title", "a model"), ("source", "a model")} <= texts
        width, height = (float(root.attrib[name]) for name in ("width", "height"))
        levels = [float(text.attrib["y"]) for text in root.iter(f"{NAMESPACE}text")]
        assert width == 440
        assert max(levels) <= height


def test_a_legend_wraps_within_the_width() -> None:
    names = [f"provider/a-model-with-a-long-name-{n}" for n in range(8)]
    series = [Series(name, SeriesStyle.numbered(n), ()) for n, name in enumerate(names)]
    root = ET.fromstring(line_chart("t", series, count_axis("x", [1, 2]), percent_axis("%")))
    legend = [text for text in root.findall(f"{NAMESPACE}text") if text.attrib["class"] == "name"]
    assert [text.text for text in legend] == [name if len(name) <= 34 else f"{name[:33]}…" for name in names]
    assert len({(text.attrib["x"], text.attrib["y"]) for text in legend}) == 8


@pytest.mark.parametrize(
    ("used", "limit", "share", "kind"),
    [
        (0, 10, 0, "level"),
        (5, 10, 0.5, "level"),
        (10, 10, 1, "level full"),
        (30, 10, 1, "level full"),
        (1, 0, 1, "level full"),
    ],
)
def test_a_usage_bar_is_filled_to_the_used_share(used: float, limit: float, share: float, kind: str) -> None:
    drawn = ET.fromstring(usage_bar(used, limit))
    assert drawn.attrib["class"] == kind
    assert float(drawn[1].attrib["x2"]) == pytest.approx(4 + 88 * share)
