"""Scenarios as text: a list of scenarios, and one scenario in full."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from muses_eval.dashboards.tables.text_table import printable, text_table
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.text.count_text import count_text

_MAX_OPENING_CHARS = 60
_RULE_CHARS = 60


def render_scenarios(dataset: Dataset) -> str:
    """Returns one line per scenario."""
    cells = [
        [scenario.id, name, str(len(scenario.principals)), _variant_text(scenario), _first_words(scenario)]
        for name in dataset.families
        for scenario in dataset.scenarios(name)
    ]
    table = text_table(["id", "family", "users", "variant", "begins"], cells, numeric=(2,))
    return (
        f"{table}\n{printable(dataset.name)}: {count_text(len(cells), 'scenario')} · dataset version {dataset.version}"
    )


def render_scenario(scenario: Scenario[Any], *, private: bool = False, truth: bool = False) -> str:
    """Returns one scenario in full.

    *private*: include the private context of each principal.  *truth*: include the ground truth of the scorers.
    """
    return printable("\n".join(_reading(scenario, private=private, truth=truth)))


def variant_values(scenario: Scenario[Any]) -> dict[str, str]:
    """Returns the values of the scenario's variants, by name."""
    named = {"mode": scenario.mode, "attack": scenario.attack, "disclosure": scenario.disclosure}
    named |= {"difficulty": scenario.difficulty, "template": scenario.template}
    return {name: value for name, value in named.items() if value is not None}


def _reading(scenario: Scenario[Any], *, private: bool, truth: bool) -> Iterator[str]:
    yield f"scenario {scenario.id}"
    yield f"{scenario.family} · {count_text(len(scenario.principals), 'user')} · {_variant_text(scenario)}"
    yield from _heading("principals")
    for principal in scenario.principals:
        yield f"{principal.name} · {principal.role} · authority {principal.authority}"
        yield from _indented(principal.persona)
        if private:
            yield "  knows alone:"
            yield from _indented(principal.private_context or "nothing")
        else:
            yield f"  knows alone: {count_text(len(principal.private_context), 'character')}, shown with --private"
    yield from _heading("what they say first")
    for opening in scenario.openings:
        yield f"{opening.sender}:"
        yield from _indented(opening.text)
    yield from _heading("briefing of the agent")
    yield from scenario.briefing.splitlines()
    yield from _heading("ground truth")
    yield from _outline(scenario.truth) if truth else ["shown with --truth"]


def _heading(title: str) -> Iterator[str]:
    yield ""
    yield f"── {title} ".ljust(_RULE_CHARS, "─")


def _indented(text: str) -> Iterator[str]:
    return (f"    {line}" for line in text.splitlines())


def _outline(value: object) -> list[str]:
    """Returns a value of frozen dataclasses, tuples and texts as an indented outline."""
    if is_dataclass(value) and type(value).__str__ is object.__str__:
        pairs = [(field.name, getattr(value, field.name)) for field in fields(value)]
    elif isinstance(value, Mapping):
        pairs = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, (tuple, list, set, frozenset)):
        items = [_outline(inner) for inner in value]
        return [f"{'- ' if i == 0 else '  '}{line}" for item in items for i, line in enumerate(item)] or ["none"]
    else:
        return str(value).splitlines() or ["(empty)"]
    lines = []
    for label, inner in pairs:
        shown = _outline(inner)
        nested = len(shown) > 1 or shown[0].startswith("- ")
        lines += [f"{label}:", *(f"    {line}" for line in shown)] if nested else [f"{label}: {shown[0]}"]
    return lines or ["none"]


def _variant_text(scenario: Scenario[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in variant_values(scenario).items())


def _first_words(scenario: Scenario[Any]) -> str:
    text = " ".join(
        (scenario.openings[0].text if scenario.openings else scenario.briefing)[: 4 * _MAX_OPENING_CHARS].split()
    )
    return text if len(text) <= _MAX_OPENING_CHARS else f"{text[: _MAX_OPENING_CHARS - 1]}…"
