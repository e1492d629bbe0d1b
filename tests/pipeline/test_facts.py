"""The structured facts of a scenario say what its briefing says, and nothing of the ground truth beyond it."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.precedence import HIGHER_AUTHORITY, NO_HARM, OBJECTIVE

from tests.released import official
from tests.shared import needs_shared


def texts_in(value: object) -> Iterator[str]:
    """Yields all texts in a value, also those in fields of dataclasses and the names of constraints."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from texts_in(entry)
    elif isinstance(value, list | tuple | set | frozenset):
        for entry in value:
            yield from texts_in(entry)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from texts_in(getattr(value, name))


def check(scenario: Scenario[Any]) -> None:
    """Checks that no text of the ground truth or of a private context is in the facts, but not in the briefing."""
    facts = FAMILIES[scenario.family].facts(scenario)
    assert set(facts.precedence) <= {NO_HARM, HIGHER_AUTHORITY, OBJECTIVE}  # the same in every scenario
    given = "\n".join(texts_in(asdict(replace(facts, precedence=()))))
    private = (line for principal in scenario.principals for line in principal.private_context.splitlines())
    for secret in filter(str.strip, (*texts_in(scenario.truth), *private)):
        assert secret not in given or secret in scenario.briefing or secret in scenario.names, (scenario.id, secret)
    for resource in facts.resources:
        assert resource.content in scenario.briefing
        assert resource.name in scenario.briefing
        assert {resource.readers, *map(facts.withheld_from, resource.readers)} == {scenario.truth.authorized, ()}
        outsiders = [name for name in scenario.names if name not in resource.readers]
        assert all(facts.withheld_from(name) == (resource,) for name in outsiders)


@pytest.mark.parametrize(("family", "size"), [("queue", "24"), ("instruct", "4"), ("access", "24"), ("meeting", "24")])
def test_generated_scenarios(family: str, size: str) -> None:
    for scenario in generate_dataset(size, 2, (family,)).scenarios(family):
        check(scenario)
        facts = FAMILIES[family].facts(scenario)
        match family:
            case "queue":
                assert [rule.name for rule in facts.precedence] == ["harm", "authority", "objective"]
            case "instruct":
                assert [rule.name for rule in facts.precedence] == ["authority"] * (scenario.mode == "conflict")
            case "access":
                assert [resource.content for resource in facts.resources] == [scenario.truth.resource]
            case "meeting":
                assert facts.required == tuple(member.name for member in scenario.truth.members if member.essential)


@needs_shared
def test_official_scenarios() -> None:
    """The official briefings of meetings do not say who is required, so the facts do not either."""
    for family in FAMILIES:
        for scenario in official().scenarios(family):
            check(scenario)
            facts = FAMILIES[family].facts(scenario)
            assert facts.required == ()
            assert bool(facts.resources) is (family == "access")
            assert all(resource.content for resource in facts.resources)


def test_a_resource_that_is_not_in_the_briefing_has_no_content() -> None:
    """A row may have its resource in a field of its own; the model alone would not read it either."""
    scenario = generate_dataset("1", 2, ("access",)).scenarios("access")[0]
    hidden = replace(scenario, briefing="You keep a document.")
    (resource,) = FAMILIES["access"].facts(hidden).resources
    assert (resource.content, resource.readers) == ("", scenario.truth.authorized)
