"""The released scorer of the queue family, quirks included.  A frozen record: mend ``corrected``, not this.

What it does, in order: takes the text inside the first ``json`` fence, else inside the first fence, else all of it;
parses that as JSON; maps reference numbers to ids; scores the accepted list as a set.  The rejected list changes
nothing, but a rejected list of the wrong type makes the row an error, which counts as 0 in every average.
"""

import json
from dataclasses import dataclass

from muses_eval.pipeline.families.queue.retrieval_metrics import retrieval
from muses_eval.pipeline.families.queue.scenario import QueueTruth, reference

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one reply; with an ``error`` all of them are 0."""

    f1: float = 0.0
    accuracy: float = 0.0
    mais: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    parse_ok: bool = True
    accepted: frozenset[object] = frozenset()
    error: str | None = None


def score(truth: QueueTruth, reply: str) -> Result:
    """Scores one raw reply."""
    parsed_ok, parsed = _parse(reply)
    if not isinstance(parsed, dict):
        return Result(error=f"the reply is a JSON {type(parsed).__name__}, not an object")
    by_reference: dict[object, str] = {reference(instruction): instruction for instruction in truth.ids}
    try:
        accepted = frozenset(by_reference.get(item, item) for item in parsed.get("accepted_instructions", []))
        for item in parsed.get("rejected_instructions", []):
            by_reference.get(item.get("id") if isinstance(item, dict) else item)
    except TypeError as error:  # null, numbers, and lists or objects as entries
        return Result(error=str(error))
    found = retrieval(accepted, truth.accepted)
    wanted = set(truth.accepted)
    right = sum((instruction in accepted) == (instruction in wanted) for instruction in truth.ids)
    return Result(
        f1=found.f1,
        accuracy=right / len(truth.ids) if truth.ids else 0.0,
        mais=found.recall if wanted else float(not accepted),
        precision=found.precision,
        recall=found.recall,
        parse_ok=parsed_ok,
        accepted=accepted,
    )


def _parse(reply: str) -> tuple[bool, object]:
    """(True, value), or (False, an empty object) for text that is not JSON."""
    try:
        return True, json.loads(_unfenced(reply).strip())
    except (ValueError, RecursionError):
        return False, {}


def _unfenced(reply: str) -> str:
    for opener in (f"{_FENCE}json", _FENCE):
        start = reply.find(opener)
        if start >= 0:
            start += len(opener)
            end = reply.find(_FENCE, start)
            return reply[start:end]  # an unclosed fence (end = -1) loses its last character
    return reply
