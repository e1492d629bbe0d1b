"""The released scorer of the instruct family, including its errors.  It is frozen: fix ``corrected_scoring``, not this.

Steps: strip one code fence; parse the rest as JSON; take each user's answer from the key that equals the user's name,
else an empty answer; check every constraint of the user on that answer.  So a reply that is not JSON still scores for
constraints that an empty answer follows, such as the absence of commas.  JSON that is not an object is an error, which
counts as 0 in every average.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from muses_eval.pipeline.families.instruct.constraints.published_checkers import passes
from muses_eval.pipeline.families.instruct.scenario import InstructTruth
from muses_eval.pipeline.text.released_json import FailedRowError, NotJsonError, read_document

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one reply; all are 0 when there is an ``error``."""

    accuracy: float = 0.0
    weighted_accuracy: float = 0.0
    all_passed: bool = False
    parse_ok: bool = True
    error: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    """User -> answer; empty when there is an ``error``."""
    verdicts: tuple[bool, ...] = ()
    """Whether each constraint is followed, in the order of the scored users; empty when there is an ``error``."""


@lru_cache(maxsize=1)  # an episode's scores and their evidence need the same result
def score(truth: InstructTruth, reply: str, *, from_api: bool = False) -> Result:
    """Scores one raw reply.

    *from_api*: an empty reply makes the row fail, as a failed call does.
    """
    if from_api and not reply:
        return Result(error="the API returned no text")
    try:
        parse_ok, parsed = _parse(reply)
    except FailedRowError as error:
        return Result(error=str(error))
    if not isinstance(parsed, dict):
        return Result(error=f"the reply is a JSON {type(parsed).__name__}, not an object")
    try:
        answers = {user.name: _answer(parsed, user.name) for user in truth.users}
    except RecursionError:  # deep nesting that can just be read, but that json.dumps cannot write
        return Result(error="an answer is nested too deeply")
    verdicts = tuple(
        (user.authority, passes(constraint.id, constraint.kwargs, answers[user.name]))
        for user in truth.scored_users
        for constraint in user.constraints
    )
    weights = sum(weight for weight, _ in verdicts)
    return Result(
        accuracy=sum(passed for _, passed in verdicts) / len(verdicts) if verdicts else 0.0,
        weighted_accuracy=sum(weight for weight, passed in verdicts if passed) / weights if weights else 0.0,
        all_passed=all(passed for _, passed in verdicts),
        parse_ok=parse_ok,
        answers=answers,
        verdicts=tuple(passed for _, passed in verdicts),
    )


def _parse(reply: str) -> tuple[bool, object]:
    """Returns (True, value), or (False, empty object) for text that is not JSON."""
    text = reply.strip().removeprefix(f"{_FENCE}json").removeprefix(_FENCE).removesuffix(_FENCE).strip()
    try:
        return True, read_document(text)
    except NotJsonError:
        return False, {}


def _answer(parsed: dict[str, object], name: str) -> str:
    value = parsed.get(name, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
