"""The queue metrics as the paper defines them, computed from what a human reader would find in the reply.

Differences from ``published``:

* JSON is found anywhere outside the reasoning.  The last decision counts, because a draft may precede it.
* Numbers, ``#1234`` and ``[ref: 1234]`` are references too.
* An instruction that is both accepted and rejected is undecided.
* All metrics are 0 for a reply without a decision.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.queue.precision_recall import precision_recall_f1
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author, reference_number
from muses_eval.pipeline.families.weighted_mean import weighted_mean
from muses_eval.pipeline.text.reply_parsing import first_value, json_objects, nested_objects, strip_reasoning

_NUMBER = re.compile(r"\d+")
_FULL_ID = re.compile(r".+_task_\d+")
_ACCEPTED = ("accepted_instructions", "accepted")
_REJECTED = ("rejected_instructions", "rejected")
_ID_KEYS = ("id", "ref", "reference", "instruction", "instruction_id")
_MAX_DEPTH = 3


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
    undecided: frozenset[str] = frozenset()
    """Ids of the instructions that are both accepted and rejected."""


def score(truth: QueueTruth, reply: str) -> Result:
    """Scores one raw reply.  An instruction that it does not mention counts as rejected."""
    decision = _last_decision(reply)
    if decision is None:
        return Result()
    accepted = frozenset(_instructions(truth, first_value(decision, _ACCEPTED)))
    rejected = frozenset(_instructions(truth, first_value(decision, _REJECTED)))
    undecided, accepted = accepted & rejected, accepted - rejected
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


def _last_decision(reply: str) -> Mapping[str, object] | None:
    """Returns the last object with a list of accepted instructions, at most :data:`_MAX_DEPTH` levels deep."""
    last = None
    for value in json_objects(strip_reasoning(reply)):
        for candidate in nested_objects(value, _MAX_DEPTH):
            if any(isinstance(candidate.get(key), (list, str, dict)) for key in _ACCEPTED):
                last = candidate
    return last


def _instructions(truth: QueueTruth, listed: object) -> Iterator[str]:
    """Yields the ids that a list names; a number that several instructions share names all of them."""
    entries = listed if isinstance(listed, (list, dict)) else [listed]
    for entry in entries:
        for name in _names(entry):
            if name in truth.ids:
                yield name
            else:
                sharing = [known for known in truth.ids if reference_number(known) == name.lstrip("0")]
                yield from sharing or [name]


def _names(entry: object) -> Iterator[str]:
    """Yields the reference numbers or ids in one entry of a list."""
    if isinstance(entry, dict):
        entry = first_value(entry, _ID_KEYS)
    if isinstance(entry, bool) or entry is None:
        return
    if isinstance(entry, float) and entry.is_integer():
        entry = int(entry)
    if isinstance(entry, int):
        yield str(entry)
    elif isinstance(entry, str):
        text = entry.strip()
        if _FULL_ID.fullmatch(text):
            yield text
        else:
            yield from _NUMBER.findall(text)
