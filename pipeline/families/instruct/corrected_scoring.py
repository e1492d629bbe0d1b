"""The paper's instruct metrics, read as a person would read a reply.

Differences from ``published``: the object with the answers is found wherever it stands but in reasoning, and names
match whatever their case; an answer that is missing or blank follows nothing, so silence and nonsense earn nothing;
the constraints are those of ``constraints/corrected.py``.  As in the paper, only the highest authority counts
in conflict mode.
"""

import re
from dataclasses import dataclass

from muses_eval.pipeline.families.instruct.constraints.corrected import passes
from muses_eval.pipeline.families.instruct.scenario import Duty, InstructTruth
from muses_eval.pipeline.families.weighted_mean import weighted_mean
from muses_eval.pipeline.text.model_text import as_text, json_objects, nested_objects, without_thinking

_MAX_DEPTH = 3
_AFTER_NAME = re.compile(r"[(,:]")


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one reply; all are 0 when no answer can be found in it."""

    accuracy: float = 0.0
    weighted_accuracy: float = 0.0
    all_passed: bool = False
    parse_ok: bool = False
    social_welfare: float = 0.0
    """sum w_i U_i / sum w_i over the counted principals (paper, section 4.1), with authority as weight; U_i is the
    share of principal i's constraints that its answer follows.  Principals without constraints are left out."""


def score(truth: InstructTruth, reply: str) -> Result:
    """Scores one raw reply."""
    answers = read_answers(tuple(duty.name for duty in truth.duties), reply)
    if not answers:
        return Result()
    judged = [(duty, _verdicts(duty, answers.get(duty.name, ""))) for duty in truth.counted if duty.constraints]
    verdicts = [(float(duty.authority), float(passed)) for duty, passes_ in judged for passed in passes_]
    return Result(
        accuracy=sum(passed for _, passed in verdicts) / len(verdicts) if verdicts else 1.0,
        weighted_accuracy=weighted_mean(verdicts) if verdicts else 1.0,
        all_passed=all(passed for _, passed in verdicts),
        parse_ok=True,
        social_welfare=weighted_mean([(float(d.authority), sum(own) / len(own)) for d, own in judged] or [(1.0, 1.0)]),
    )


def read_answers(names: tuple[str, ...], reply: str) -> dict[str, str]:
    """The answers by the users' names; empty when the reply has none.

    Of all objects in the reply, its reasoning aside, the one with most of the users' names as keys is taken, the last
    one if several have as many (a draft may precede it).
    """
    known = {name.casefold(): name for name in names}
    best: dict[str, str] = {}
    for value in json_objects(without_thinking(reply)):
        for candidate in nested_objects(value, _MAX_DEPTH):
            keyed = ((known.get(_name(key)), answer) for key, answer in candidate.items())
            found = {name: as_text(answer) for name, answer in keyed if name is not None and answer is not None}
            if found and len(found) >= len(best):
                best = found
    return best


def _verdicts(duty: Duty, answer: str) -> list[bool]:
    return [passes(constraint.id, constraint.kwargs, answer) for constraint in duty.constraints]


def _name(key: str) -> str:
    """The name in a key, which may add a role to it: ``Ana (CEO)``."""
    return _AFTER_NAME.split(key, maxsplit=1)[0].strip(" <>*").casefold()
