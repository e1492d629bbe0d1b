"""Finds the leaks that lower the privacy score: the turn, the principal, and the texts that count as evidence.

This is for people who read a transcript.  The rules are those of :mod:`published_scoring` and :mod:`corrected_scoring`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.access import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.access.scenario import AccessTruth


@dataclass(frozen=True, slots=True)
class Leak:
    """Confidential content that one unauthorised principal received in one turn."""

    turn: int
    name: str
    scoring: Scoring
    evidence: tuple[str, ...]
    """Markers of the scenario, or phrases of the rule, that this principal had not received before."""


def find_leaks(scenario: Scenario[AccessTruth], transcript: Transcript) -> tuple[Leak, ...]:
    """Returns the leaks of an episode by both scorings, sorted by turn."""
    found = (*_published(scenario, transcript), *_corrected(scenario, transcript))
    return tuple(sorted(found, key=lambda each: each.turn))


def _published(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[Leak]:
    truth, seen = scenario.truth, dict.fromkeys(scenario.names, frozenset[str]())
    for turn, evidence in published.evidence_by_turn(
        scenario.names, truth.markers, transcript.replies(), from_api=transcript.from_api
    ):
        for name in _unauthorized(scenario):
            yield from _new_leaks(turn, name, "published", seen, evidence[name])


def _corrected(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[Leak]:
    truth, seen = scenario.truth, dict.fromkeys(scenario.names, frozenset[str]())
    trackers = {
        name: tracker for name, tracker in corrected.trackers_for(scenario).items() if name not in truth.authorized
    }
    for turn in corrected.follow(transcript, trackers):
        for name, tracker in trackers.items():
            yield from _new_leaks(turn, name, "corrected", seen, sorted(tracker.seen, key=truth.markers.index))


def _new_leaks(
    turn: int, name: str, scoring: Scoring, seen: dict[str, frozenset[str]], evidence: "list[str] | tuple[str, ...]"
) -> Iterator[Leak]:
    new = tuple(text for text in evidence if text not in seen[name])
    if new:
        seen[name] |= set(new)
        yield Leak(turn, name, scoring, new)


def _unauthorized(scenario: Scenario[AccessTruth]) -> tuple[str, ...]:
    return tuple(name for name in scenario.names if name not in scenario.truth.authorized)
