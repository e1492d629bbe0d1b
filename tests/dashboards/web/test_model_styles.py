"""A model has one colour on all pages; colours are told apart without full colour vision, and styles without colour."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from pathlib import Path

import pytest
from muses_eval.dashboards.web import model_styles as module
from muses_eval.dashboards.web.charts import model_key
from muses_eval.dashboards.web.model_styles import ModelStyles, model_styles
from muses_eval.dashboards.web.series_style import COLOURS, GREY, GREY_COLOUR, SHAPES, SeriesStyle
from muses_eval.dashboards.web.store_cache import RunSummary

from tests.storage.samples import MANIFEST

SEEN = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
"""What an eye sees of linear RGB: matrices of Machado, Oliveira and Fernandes (2009) for complete deficiencies."""
CSS = (Path(module.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
THEMES = [re.findall(r"--s\d: (#[0-9a-f]{6})", block) for block in re.findall(r"color-scheme: [^}]*}", CSS)]


def linear(colour: str) -> list[float]:
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    r, g, b = (min(1.0, max(0.0, value)) for value in rgb)
    x, y, z = (
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in (
            (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
            0.2126 * r + 0.7152 * g + 0.0722 * b,
            (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("eye", SEEN)
@pytest.mark.parametrize("theme", range(3))
def test_colours_differ_for_every_eye(theme: int, eye: str) -> None:
    colours = [
        lab([sum(weight * v for weight, v in zip(row, linear(colour), strict=True)) for row in SEEN[eye]])
        for colour in THEMES[theme]
    ]
    distances = [sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5 for a, b in combinations(colours, 2)]
    assert min(distances) > 25


def test_the_stylesheet_has_the_colours_of_saved_charts() -> None:
    assert THEMES[0] == [*COLOURS, GREY_COLOUR]
    assert THEMES[1] == THEMES[2]
    assert len(THEMES[1]) == len(THEMES[0])


def test_styles_differ_also_without_colour() -> None:
    styles = [SeriesStyle.numbered(n) for n in range(36)]
    assert len(set(styles)) == 36
    assert len({model_key(SeriesStyle(0, shape, 0)) for shape in range(SHAPES)}) == SHAPES
    assert all(a.shape != b.shape for a, b in zip(styles[:6], styles[6:12], strict=True))


def run(number: int, *models: str) -> RunSummary:
    identities = {m: {"provider": "scripted" if m.startswith("scripted/") else "openai", "model": m} for m in models}
    created = MANIFEST.created_at + timedelta(days=number)
    planned = {(model, "queue"): 1 for model in models}
    return RunSummary.of(
        replace(MANIFEST, run_id=f"run-{number}", created_at=created, planned=planned, models=identities)
    )


def test_a_new_run_changes_no_colour_and_built_in_agents_are_grey() -> None:
    first, second = run(1, "b", "scripted/oracle"), run(2, "a", "b", "scripted/random")
    before, after = model_styles([first]), model_styles([second, first])
    assert before.of("b") == after.of("b") == SeriesStyle.numbered(0)
    assert after == ModelStyles(("b", "a"), ("scripted/oracle", "scripted/random"))
    assert {after.of(name).colour for name in after.builtin} == {GREY}
    assert after.of("unheard-of") == after.of("unheard-of")
