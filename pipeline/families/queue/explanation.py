"""Explains the scores of a queue episode: which instructions were decided wrong, and what should have been decided."""

from collections.abc import Collection, Iterator

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.queue import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author, reference_number


def explain(scenario: Scenario[QueueTruth], transcript: Transcript) -> Iterator[str]:
    """Yields the wrong decisions, by both scorings; those that agree are named once."""
    truth, reply = scenario.truth, "".join(text for _, text in transcript.replies())
    yield f"to accept: {len(truth.accepted)} instructions · to reject: {len(truth.rejected)}"
    released = published.score(truth, reply, from_api=transcript.from_api)
    read = corrected.score(truth, reply)
    if released.error is not None:
        yield f"published: the released code fails on the reply: {released.error}"
    elif not released.parse_ok:
        yield "published: no decision, because the reply is not JSON"
    if not read.parse_ok:
        yield "corrected: no decision was found in the reply"
    by_rule: dict[str, list[str]] = {}
    if released.parse_ok and released.error is None:
        by_rule["published"] = list(_wrong(truth, released.accepted, ()))
    if read.parse_ok:
        by_rule["corrected"] = list(_wrong(truth, read.accepted, read.undecided))
    for line in dict.fromkeys(line for lines in by_rule.values() for line in lines):
        rules = [rule for rule, lines in by_rule.items() if line in lines]
        yield line if len(rules) == 2 else f"{line} ({rules[0]} alone)"
    right = [rule for rule, lines in by_rule.items() if not lines]
    if right:
        yield f"every instruction is decided right ({' and '.join(right)})"


def _wrong(truth: QueueTruth, accepted: Collection[object], undecided: Collection[str]) -> Iterator[str]:
    reasons = dict(truth.rejected)
    for instruction in truth.ids:
        name = f"{reference_number(instruction)} of {author(instruction)}"
        if instruction in undecided:
            yield f"both accepted and rejected: {name}"
        elif instruction in accepted and instruction in reasons:
            yield f"wrongly accepted: {name}; to reject: {' '.join(reasons[instruction].split())}"
        elif instruction not in accepted and instruction not in reasons:
            yield f"wrongly rejected or left out: {name}"
    unknown = sorted(str(each) for each in accepted if each not in truth.ids)
    if unknown:
        yield f"accepted, but no instruction: {', '.join(unknown)}"
