"""The released scorer of the queue family, including its errors.  It is frozen: fix ``corrected_scoring``, not this.

Steps: take the text inside the first ``json`` fence, else inside the first fence, else the whole reply; parse it as
JSON; map reference numbers to ids; score the accepted list as a set.  The rejected list has no effect, except that one
of the wrong type makes the row an error, which counts as 0 in every average.
"""

from dataclasses import dataclass
from functools import lru_cache

from muses_eval.pipeline.families.queue.precision_recall import precision_recall_f1
from muses_eval.pipeline.families.queue.scenario import QueueTruth, reference_number
from muses_eval.pipeline.text.released_json import FailedRowError, NotJsonError, read_document

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one reply; all are 0 when there is an ``error``."""

    f1: float = 0.0
    accuracy: float = 0.0
    mais: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    parse_ok: bool = True
    accepted: frozenset[object] = frozenset()
    rejected: frozenset[object] = frozenset()
    """Has no effect on the metrics."""
    error: str | None = None


@lru_cache(maxsize=1)  # an episode's scores and their evidence need the same result
def score(truth: QueueTruth, reply: str, *, from_api: bool = False) -> Result:
    """Scores one raw reply.

    *from_api*: an empty reply makes the row fail, as a failed call does.
    """
    if from_api and not reply:
        return Result(error="the API returned no text")
    try:
        parsed_ok, parsed = _parse(reply)
    except FailedRowError as error:
        return Result(error=str(error))
    if not isinstance(parsed, dict):
        return Result(error=f"the reply is a JSON {type(parsed).__name__}, not an object")
    by_reference: dict[object, str] = {reference_number(instruction): instruction for instruction in truth.ids}
    try:
        accepted = frozenset(by_reference.get(item, item) for item in parsed.get("accepted_instructions", []))
        listed = (
            item.get("id") if isinstance(item, dict) else item for item in parsed.get("rejected_instructions", [])
        )
        rejected = frozenset(by_reference.get(item, item) for item in listed)
    except TypeError as error:  # null or a number as a list; a list or an object as an entry
        return Result(error=str(error))
    found = precision_recall_f1(accepted, truth.accepted)
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
        rejected=rejected,
    )


def _parse(reply: str) -> tuple[bool, object]:
    """Returns (True, value), or (False, empty object) for text that is not JSON."""
    try:
        return True, read_document(_unfenced(reply).strip())
    except NotJsonError:
        return False, {}


def _unfenced(reply: str) -> str:
    for opener in (f"{_FENCE}json", _FENCE):
        start = reply.find(opener)
        if start >= 0:
            start += len(opener)
            end = reply.find(_FENCE, start)
            return reply[start:end]  # an unclosed fence (end = -1) loses its last character
    return reply
