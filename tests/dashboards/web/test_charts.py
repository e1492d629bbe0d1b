"""Charts are well-formed, markers are at the right positions, and names are text."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, strategies as st
from muses_eval.dashboards.web.charts import (
    DifferenceScale,
    DotRow,
    Point,
    Series,
    count_axis,
    dot_plot,
    heatmap,
    interval_bar,
    legend_key,
    line_chart,
    percent_axis,
    rounded_axis,
    scatter_plot,
    usage_bar,
)
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

from tests.dashboards.web.site import HOSTILE

NAMESPACE = "{http://www.w3.org/2000/svg}"
ESTIMATES = st.builds(MeanEstimate, st.floats(0, 1), st.none() | st.floats(0, 1))


def drawn(name: str, estimate: MeanEstimate) -> list[str]:
    """Returns a chart of every kind, in which every text is *name*."""
    axis = count_axis(name, [1, 2])
    return [
        line_chart(name, [Series(name, (Point(1, estimate), Point(2, estimate)))], axis, percent_axis(name)),
        dot_plot(name, (name,), [DotRow(name, (estimate,))], percent_axis(name)),
        heatmap(name, [name], [name], [[estimate], [None]][:1]),
        scatter_plot(name, [(name, 0.5, estimate)], [0], rounded_axis(name, 1.0, str), percent_axis(name)),
    ]


@given(st.text(), ESTIMATES)
def test_every_chart_is_well_formed_for_any_text(name: str, estimate: MeanEstimate) -> None:
    for chart in drawn(name, estimate):
        ET.fromstring(chart)


def test_names_stay_text() -> None:
    for chart in drawn(HOSTILE, MeanEstimate(0.5, 0.1)):
        kinds = {element.tag.removeprefix(NAMESPACE) for element in ET.fromstring(chart).iter()}
        assert kinds <= {"svg", "title", "text", "line", "polyline", "circle", "rect", "path"}
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


def test_series_differ_by_mark_as_well_as_by_colour() -> None:
    marks = [ET.fromstring(legend_key(index))[1] for index in range(4)]
    assert len({(mark.tag, mark.attrib.get("d", "")[-4:]) for mark in marks}) == 4


def test_labels_do_not_overlap() -> None:
    points = [
        ("a", 0.5, MeanEstimate(0.5, None)),
        ("b", 0.5, MeanEstimate(0.5, None)),
        ("c", 0.51, MeanEstimate(0.49, None)),
    ]
    chart = ET.fromstring(scatter_plot("", points, [0], rounded_axis("", 1.0, str), percent_axis("")))
    levels = sorted(
        float(text.attrib["y"]) for text in chart.iter(f"{NAMESPACE}text") if text.attrib["class"] == "name"
    )
    assert all(below - above >= 12 for above, below in pairwise(levels))
    assert len(levels) == 3


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
