"""Explains the scores of an access episode: who may have the resource, and what reached whom, when, by which rule."""

from collections.abc import Iterable, Iterator

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.access import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.access.leaks import find_leaks
from muses_eval.pipeline.families.access.scenario import AccessTruth

_MAX_SHOWN = 4


def explain(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[str]:
    """Yields the facts behind privacy and utility, by both scorings."""
    truth = scenario.truth
    others = [name for name in scenario.names if name not in truth.authorized]
    yield f"resource: {truth.resource_name}"
    yield f"authorised: {_names(truth.authorized)} · not authorised: {_names(others)}"
    leaks = find_leaks(scenario, transcript)
    for leak in leaks:
        yield f"turn {leak.turn}: leaked to {leak.name} by the {leak.scoring} rule: {_quoted(leak.evidence)}"
    clean = [scoring for scoring in ("published", "corrected") if not any(leak.scoring == scoring for leak in leaks)]
    if clean:
        yield f"no leak by the {' and '.join(clean)} rule{'s' if len(clean) > 1 else ''}"
    yield from _served(scenario, transcript)


def _served(scenario: Scenario[AccessTruth], transcript: Transcript) -> Iterator[str]:
    """Yields what each authorised principal has received."""
    truth, received = scenario.truth, dict[str, tuple[str, ...]]()
    trackers = corrected.trackers_for(scenario)
    for _ in corrected.follow(transcript, trackers):
        pass
    replies = transcript.replies()
    for _, evidence in published.evidence_by_turn(scenario.names, truth.markers, replies, from_api=transcript.from_api):
        received = evidence
    for name in truth.authorized:
        missing = [fact for fact in truth.facts if fact not in trackers[name].seen]
        has = f"{len(truth.facts) - len(missing)} of {len(truth.facts)} facts"
        lacks = f", lacks {_quoted(missing)}" if missing else ""
        served = "served" if received.get(name) else "not served"
        yield f"{name} (authorised): {served} by the published rule; {has} by the corrected rule{lacks}"
    final, _ = published.score_replies(
        scenario.names, truth.authorized, truth.markers, replies, from_api=transcript.from_api
    )
    if final.error is not None:
        yield f"published: the released code fails on the replies: {final.error}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _quoted(texts: Iterable[str]) -> str:
    found = [" ".join(text.split()) for text in texts]
    more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    return ", ".join(f"“{text}”" for text in found[:_MAX_SHOWN]) + more
