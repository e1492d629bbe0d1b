"""The released scorer of the instruct family, quirks included.  A frozen record: mend ``corrected``, not this.

What it does, in order: strips one code fence; parses the rest as JSON; takes each user's answer from the key that is
exactly the user's name, or an empty answer; lets every constraint of the user judge that answer alone.  So a reply that
is no JSON still earns what an empty answer follows, such as the absence of commas, while JSON that is not an object is
an error, which counts as 0 in every average.
"""

import json
from dataclasses import dataclass

from muses_eval.pipeline.families.instruct.constraints.published import passes
from muses_eval.pipeline.families.instruct.scenario import InstructTruth

_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one reply; with an ``error`` all of them are 0."""

    accuracy: float = 0.0
    weighted_accuracy: float = 0.0
    all_passed: bool = False
    parse_ok: bool = True
    error: str | None = None


def score(truth: InstructTruth, reply: str) -> Result:
    """Scores one raw reply."""
    parse_ok, parsed = _parse(reply)
    if not isinstance(parsed, dict):
        return Result(error=f"the reply is a JSON {type(parsed).__name__}, not an object")
    try:
        answers = {duty.name: _answer(parsed, duty.name) for duty in truth.duties}
    except RecursionError:  # what can just be read is too deep to be written again
        return Result(error="an answer is nested too deeply")
    verdicts = [
        (duty.authority, passes(constraint.id, constraint.kwargs, answers[duty.name]))
        for duty in truth.counted
        for constraint in duty.constraints
    ]
    weights = sum(weight for weight, _ in verdicts)
    return Result(
        accuracy=sum(passed for _, passed in verdicts) / len(verdicts) if verdicts else 0.0,
        weighted_accuracy=sum(weight for weight, passed in verdicts if passed) / weights if weights else 0.0,
        all_passed=all(passed for _, passed in verdicts),
        parse_ok=parse_ok,
    )


def _parse(reply: str) -> tuple[bool, object]:
    """(True, value), or (False, an empty object) for text that is not JSON."""
    text = reply.strip().removeprefix(f"{_FENCE}json").removeprefix(_FENCE).removesuffix(_FENCE).strip()
    try:
        return True, json.loads(text)
    except (ValueError, RecursionError):
        return False, {}


def _answer(parsed: dict[str, object], name: str) -> str:
    value = parsed.get(name, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
