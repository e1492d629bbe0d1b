"""The queue metrics as the paper defines them, computed from what a human reader would find in the reply.

Differences from ``published``:

* The decision is found in any form (:mod:`decision`).  The last one counts, because a draft may precede it.
* Numbers, ``#1234`` and ``[ref: 1234]`` are references too.
* An instruction that is both accepted and rejected is undecided.
* All metrics are 0 for a reply without a decision.
"""

from dataclasses import dataclass
from functools import lru_cache

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.queue.decision import read_decision
from muses_eval.pipeline.families.queue.precision_recall import precision_recall_f1
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author
from muses_eval.pipeline.families.weighted_mean import weighted_mean


@dataclass(frozen=True, slots=True)
class Result:
    """Metrics of one reply; all are 0 when it contains no decision."""

    f1: float = 0.0
    accuracy: float = 0.0
    mais: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    parse_ok: bool = False
    accepted: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    """Ids of the instructions that are both accepted and rejected."""


@lru_cache(maxsize=1)  # an episode's scores and their evidence need the same result
def score(truth: QueueTruth, reply: str) -> Result:
    """Scores one raw reply.  An instruction that it does not mention counts as rejected."""
    decision = read_decision(truth, reply)
    if decision is None:
        return Result()
    undecided, accepted = decision.accepted & decision.rejected, decision.accepted - decision.rejected
    found = precision_recall_f1(accepted, truth.accepted)
    wanted = set(truth.accepted)
    if not wanted and not accepted:
        found = found._replace(precision=1.0, recall=1.0, f1=1.0)
    right = sum(
        instruction not in undecided and (instruction in accepted) == (instruction in wanted)
        for instruction in truth.ids
    )
    return Result(
        f1=found.f1,
        accuracy=right / len(truth.ids) if truth.ids else 1.0,
        mais=found.recall,
        precision=found.precision,
        recall=found.recall,
        parse_ok=True,
        accepted=accepted,
        rejected=decision.rejected - decision.accepted,
        undecided=undecided,
    )


def social_welfare(scenario: Scenario[QueueTruth], result: Result) -> float:
    """Computes sum w_i U_i / sum w_i (paper, section 4.1) with the principals' authorities as weights.

    U_i is the fraction of principal i's instructions that were decided right.  Principals without instructions are left
    out.  Returns 0 when no decision was found in the reply.
    """
    if not result.parse_ok:
        return 0.0
    wanted = set(scenario.truth.accepted)
    utilities = []
    for principal in scenario.principals:
        own = [i for i in scenario.truth.ids if author(i) == principal.name]
        if own:
            right = sum(i not in result.undecided and (i in result.accepted) == (i in wanted) for i in own)
            utilities.append((float(principal.authority), right / len(own)))
    return weighted_mean(utilities)
