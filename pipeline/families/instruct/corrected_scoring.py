"""The instruct metrics as the paper defines them, computed from what a human reader would find in the reply.

Differences from ``published``:

* The object with the answers is found anywhere outside the reasoning; names match case-insensitively.
* A missing or blank answer follows no constraint, so an empty or unparsable reply scores 0.
* The constraints are checked by :mod:`constraints.corrected_checkers`.

As in the paper, only the users with the highest authority are scored in conflict mode.
"""

import re
from dataclasses import dataclass

from muses_eval.pipeline.families.instruct.constraints.corrected_checkers import passes
from muses_eval.pipeline.families.instruct.scenario import InstructTruth, UserConstraints
from muses_eval.pipeline.families.weighted_mean import weighted_mean
from muses_eval.pipeline.text.reply_parsing import as_text, json_objects, nested_objects, strip_reasoning

_MAX_DEPTH = 3
_AFTER_NAME = re.compile(r"[(,:]")


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one reply; all are 0 when it contains no answer."""

    accuracy: float = 0.0
    weighted_accuracy: float = 0.0
    all_passed: bool = False
    parse_ok: bool = False
    social_welfare: float = 0.0
    """sum w_i U_i / sum w_i over the scored users (paper, section 4.1), with authority as weight.

    U_i is the fraction of user i's constraints that its answer follows.  Users without constraints are left out."""


def score(truth: InstructTruth, reply: str) -> Result:
    """Scores one raw reply."""
    answers = read_answers(tuple(user.name for user in truth.users), reply)
    if not answers:
        return Result()
    judged = [(user, _verdicts(user, answers.get(user.name, ""))) for user in truth.scored_users if user.constraints]
    verdicts = [(float(user.authority), float(passed)) for user, passes_ in judged for passed in passes_]
    return Result(
        accuracy=sum(passed for _, passed in verdicts) / len(verdicts) if verdicts else 1.0,
        weighted_accuracy=weighted_mean(verdicts) if verdicts else 1.0,
        all_passed=all(passed for _, passed in verdicts),
        parse_ok=True,
        social_welfare=weighted_mean([(float(d.authority), sum(own) / len(own)) for d, own in judged] or [(1.0, 1.0)]),
    )


def read_answers(names: tuple[str, ...], reply: str) -> dict[str, str]:
    """Returns the answers by user name; empty when the reply has none.

    The answers are the object outside the reasoning with the most user names as keys.  Among equals, the last one
    counts, because a draft may precede it.
    """
    known = {name.casefold(): name for name in names}
    best: dict[str, str] = {}
    for value in json_objects(strip_reasoning(reply)):
        for candidate in nested_objects(value, _MAX_DEPTH):
            keyed = ((known.get(_name(key)), answer) for key, answer in candidate.items())
            found = {name: as_text(answer) for name, answer in keyed if name is not None and answer is not None}
            if found and len(found) >= len(best):
                best = found
    return best


def _verdicts(user: UserConstraints, answer: str) -> list[bool]:
    return [passes(constraint.id, constraint.kwargs, answer) for constraint in user.constraints]


def _name(key: str) -> str:
    """Returns the case-folded name in a key, which may also contain a role: ``Ana (CEO)``."""
    return _AFTER_NAME.split(key, maxsplit=1)[0].strip(" <>*").casefold()
