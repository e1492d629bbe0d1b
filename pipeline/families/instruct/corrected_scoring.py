"""The instruct metrics as the paper defines them, computed from what a human reader would find in the reply.

Differences from ``published``:

* The answers are found in any form (:mod:`answers`); names match in any case and with a role.
* A missing or blank answer follows no constraint, so an empty or unparsable reply scores 0.
* The constraints are checked by :mod:`constraints.corrected_checkers`.

As in the paper, only the users with the highest authority are scored in conflict mode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from muses_eval.pipeline.families.instruct.answers import read_answers
from muses_eval.pipeline.families.instruct.constraints.corrected_checkers import passes
from muses_eval.pipeline.families.instruct.scenario import InstructTruth, UserConstraints
from muses_eval.pipeline.families.weighted_mean import weighted_mean


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
    answers: Mapping[str, str] = field(default_factory=dict)
    """User -> answer, without the users who have none."""
    verdicts: tuple[bool, ...] = ()
    """Whether each constraint is followed, in the order of the scored users; empty when there is no answer."""


@lru_cache(maxsize=1)  # an episode's scores and their evidence need the same result
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
        answers=answers,
        verdicts=tuple(passed for _, own in judged for passed in own),
    )


def _verdicts(user: UserConstraints, answer: str) -> list[bool]:
    return [passes(constraint.id, constraint.kwargs, answer) for constraint in user.constraints]
