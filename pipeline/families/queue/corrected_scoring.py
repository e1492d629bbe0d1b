"""The paper's queue metrics, read as a person would read a reply.

Differences from ``published``: JSON is found wherever it stands but in reasoning, and the last decision counts (a draft
may precede it); numbers, ``#1234`` and ``[ref: 1234]`` are references too; an instruction that is both accepted and
rejected is not decided; a reply in which no decision can be found earns nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.families.queue.retrieval_metrics import retrieval
from muses_eval.pipeline.families.queue.scenario import QueueTruth, reference
from muses_eval.pipeline.text.model_text import first_value, json_objects, nested_objects, without_thinking

_NUMBER = re.compile(r"\d+")
_FULL_ID = re.compile(r".+_task_\d+")
_ACCEPTED = ("accepted_instructions", "accepted")
_REJECTED = ("rejected_instructions", "rejected")
_ID_KEYS = ("id", "ref", "reference", "instruction", "instruction_id")
_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of one reply; all are 0 when no decision can be found in it."""

    f1: float = 0.0
    accuracy: float = 0.0
    mais: float = 0.0
    precision: float = 0.0
    recall: float = 0.0
    parse_ok: bool = False
    accepted: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    """Accepted and rejected at once."""


def score(truth: QueueTruth, reply: str) -> Result:
    """Scores one raw reply.  What is not mentioned is not carried out, which is to say rejected."""
    decision = _last_decision(reply)
    if decision is None:
        return Result()
    accepted = frozenset(_instructions(truth, first_value(decision, _ACCEPTED)))
    rejected = frozenset(_instructions(truth, first_value(decision, _REJECTED)))
    undecided, accepted = accepted & rejected, accepted - rejected
    found = retrieval(accepted, truth.accepted)
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


def _last_decision(reply: str) -> Mapping[str, object] | None:
    """The last object, at any of the outer levels, that has a list of accepted instructions."""
    last = None
    for value in json_objects(without_thinking(reply)):
        for candidate in nested_objects(value, _MAX_DEPTH):
            if any(isinstance(candidate.get(key), (list, str, dict)) for key in _ACCEPTED):
                last = candidate
    return last


def _instructions(truth: QueueTruth, listed: object) -> Iterator[str]:
    """The ids that a list names; a number that several instructions share decides all of them."""
    entries = listed if isinstance(listed, (list, dict)) else [listed]
    for entry in entries:
        for name in _names(entry):
            if name in truth.ids:
                yield name
            else:
                sharing = [known for known in truth.ids if reference(known) == name.lstrip("0")]
                yield from sharing or [name]


def _names(entry: object) -> Iterator[str]:
    """The references or ids that one entry of a list gives."""
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
