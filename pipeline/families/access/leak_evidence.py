"""What gave a resource away, by the scorers' own rules: in which turn, to whom, and which texts the rule went by.

For people who read a transcript.  Nothing is decided here: ``published`` and ``corrected`` are asked round by round.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.access import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.access.scenario import AccessTruth


@dataclass(frozen=True, slots=True)
class Evidence:
    """One principal that saw in one turn what it may not."""

    turn: int
    name: str
    scoring: Scoring
    signs: tuple[str, ...]
    """Markers of the scenario, or phrases of the rule, that no earlier turn had shown to this principal."""


def evidence(scenario: Scenario[AccessTruth], transcript: Transcript) -> tuple[Evidence, ...]:
    """All of it, by turn."""
    found = (*_published(scenario, transcript), *_corrected(scenario, transcript))
    return tuple(sorted(found, key=lambda each: each.turn))


def _published(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[Evidence]:
    truth, seen = scenario.truth, dict.fromkeys(scenario.names, frozenset[str]())
    for turn, signs in published.signs_by_turn(scenario.names, truth.markers, transcript.replies()):
        for name in _outsiders(scenario):
            yield from _news(turn, name, "published", seen, signs[name])


def _corrected(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[Evidence]:
    truth, seen = scenario.truth, dict.fromkeys(scenario.names, frozenset[str]())
    exposures = {name: corrected.watch(truth, name) for name in _outsiders(scenario)}
    for turn, messages in transcript.deliveries_by_turn().items():
        for message in messages:
            for name in exposures.keys() & set(message.audience):
                exposures[name].add(message.content)
        for name, exposure in exposures.items():
            yield from _news(turn, name, "corrected", seen, sorted(exposure.shown, key=truth.markers.index))


def _news(
    turn: int, name: str, scoring: Scoring, seen: dict[str, frozenset[str]], signs: "list[str] | tuple[str, ...]"
) -> Iterator[Evidence]:
    new = tuple(sign for sign in signs if sign not in seen[name])
    if new:
        seen[name] |= set(new)
        yield Evidence(turn, name, scoring, new)


def _outsiders(scenario: Scenario[AccessTruth]) -> tuple[str, ...]:
    return tuple(name for name in scenario.names if name not in scenario.truth.authorized)
