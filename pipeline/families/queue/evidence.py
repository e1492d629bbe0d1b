"""The evidence of a queue episode: for each instruction what was asked, what is right, and what the agent decided.

``accuracy`` is the fraction of instructions that pass.  ``f1`` is 1 when they all pass and nothing else was accepted.
"""

import re
from collections.abc import Iterator, Set as AbstractSet
from dataclasses import dataclass

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.queue import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author, reference_number

NO_DECISION = "decision"
"""Rule of the row that says why a reply has no decision; the rules of all others are ids of instructions."""
UNKNOWN = "no instruction"
"""What the ground truth has for an accepted reference that no instruction has."""
_LONGEST = 300
"""Characters of an instruction that are stored."""
_TAG = re.compile(r"\[ref: (\d+)\]")


@dataclass(frozen=True, slots=True)
class _Decision:
    """The decision that one scoring read."""

    scoring: Scoring
    accepted: AbstractSet[object]
    rejected: AbstractSet[object]
    undecided: AbstractSet[object] = frozenset()
    """Instructions in both lists, when the scoring counts them as wrong."""
    problem: str = ""
    """Why every instruction counts as wrong; empty when the decision counts."""


def evidence(scenario: Scenario[QueueTruth], transcript: Transcript) -> Iterator[Evidence]:
    """Yields a row per instruction, per accepted reference without an instruction, and per reply without a decision."""
    reply = "".join(text for _, text in transcript.replies())
    asked = _asked(scenario)
    released = published.score(scenario.truth, reply, from_api=transcript.from_api)
    failed = "" if released.error is None else f"the released code fails on the reply: {released.error}"
    yield from _rows(
        scenario.truth, asked, _Decision("published", released.accepted, released.rejected, problem=failed)
    )
    if failed or not released.parse_ok:
        yield _unreadable("published", failed or "the reply is not JSON")
    read = corrected.score(scenario.truth, reply)
    missing = "" if read.parse_ok else "no decision was found in the reply"
    yield from _rows(
        scenario.truth, asked, _Decision("corrected", read.accepted, read.rejected, read.undecided, missing)
    )
    if missing:
        yield _unreadable("corrected", missing)


def _rows(truth: QueueTruth, asked: dict[str, str], decision: _Decision) -> Iterator[Evidence]:
    wanted, reasons = set(truth.accepted), dict(truth.rejected)
    for instruction in truth.ids:
        right = (instruction in decision.accepted) == (instruction in wanted)
        passed = right and instruction not in decision.undecided and not decision.problem
        yield Evidence(
            scoring=decision.scoring,
            metric="accuracy",
            rule=instruction,
            verdict="pass" if passed else "fail",
            principal=author(instruction),
            turn=1,
            span=asked.get(reference_number(instruction), ""),
            expected="accept" if instruction in wanted else f"reject: {' '.join(reasons[instruction].split())}",
            found=_found(decision, instruction),
        )
    for unknown in sorted(str(each)[:_LONGEST] for each in decision.accepted if each not in truth.ids):
        yield Evidence(
            scoring=decision.scoring, metric="f1", rule=unknown, verdict="fail", expected=UNKNOWN, found="accept"
        )


def _found(decision: _Decision, instruction: str) -> str:
    accepted, rejected = instruction in decision.accepted, instruction in decision.rejected
    if instruction in decision.undecided or (accepted and rejected):
        return "both"
    return "accept" if accepted else "reject" if rejected else "none"


def _unreadable(scoring: Scoring, problem: str) -> Evidence:
    return Evidence(
        scoring=scoring,
        metric="parse_ok",
        rule=NO_DECISION,
        verdict="fail",
        turn=1,
        expected="a decision",
        found=problem,
    )


def _asked(scenario: Scenario[QueueTruth]) -> dict[str, str]:
    """Returns reference number -> the instruction in its author's words, without the tag."""
    inputs = scenario.row_prompt.inputs if scenario.row_prompt else ()
    return {
        found[1]: entry.text[: found.start()].strip()[:_LONGEST] or entry.text[found.end() :].strip()[:_LONGEST]
        for entry in inputs
        for found in _TAG.finditer(entry.text)
    }
