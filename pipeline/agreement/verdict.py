"""Compares the score of one recorded case with the verdict recorded beside it.

A case is a JSON object.  ``expected`` holds a result of the released scorer, which ``published`` is compared with;
``human`` holds a person's judgement, which ``corrected`` is compared with.  Both are ``{metric: value}``, and a case
with ``expected.error`` agrees when the published scoring fails as well.  The rest of the object is a case of
:meth:`muses_eval.pipeline.families.family.Family.score_case`, or one part of a reply
(:mod:`muses_eval.pipeline.agreement.readings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.agreement.readings import Reading, reading_of
from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import Family, Row
from muses_eval.pipeline.families.instruct.metrics import constraint_verdict

Scenarios = Mapping[str, Mapping[str, Scenario[Any]]]
"""Family -> id -> scenario."""

_RELEASED_NAMES: Mapping[str, Mapping[str, str]] = {
    "queue": {"parsed_ok": "parse_ok"},
    "access": {"privacy_score": "privacy", "utility_score": "utility"},
    "meeting": {"success_rate": "success", "attendance_rate": "attendance", "utility_score": "slot_utility"},
}
"""Family -> name of a metric in the released code -> ours, where they differ."""
_RELEASED = frozenset({"expected", "expected_passed"})
"""Fields with a result of the released scorer."""
_TOLERANCE: Mapping[Scoring, float] = {"published": 1e-9, "corrected": 0.005}
"""Largest difference of values that agree; a person's figures have two decimals."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case, judged by this project and by a reference."""

    family: str
    scoring: Scoring
    name: str
    ours: str
    reference: str
    agrees: bool


def judge(case: Row, scenarios: Scenarios) -> Verdict | None:
    """Compares one case; returns None when it has no verdict: people differ, or the released result is random.

    Raises:
        RowError: the case is malformed, or its scenario is not in *scenarios*.
    """
    if case.get("stable") is False or case.get("nltk_3_10_4_differs") is True:
        return None
    reading = reading_of(case)
    if reading is not None:
        return _compare_reading(case, reading)
    scoring: Scoring = "published" if _RELEASED.intersection(case) else "corrected"
    reference = _reference(case)
    return None if reference is None else _compare(case, scoring, reference, scenarios)


def _reference(case: Row) -> Row | None:
    """Returns the verdict as {metric: value}; None when people differ."""
    if "expected" in case:
        return read_field(case, "expected", dict)
    if "expected_passed" not in case and "human" not in case:
        raise RowError("missing; expected a verdict, in 'human' or 'expected'", "human")
    verdict = case.get("expected_passed", case.get("human"))
    if isinstance(verdict, bool):
        return {"passed": float(verdict)}
    return None if verdict is None else read_field(case, "human", dict)


def _compare_reading(case: Row, reading: Reading) -> Verdict | None:
    if reading.human is None:
        return None
    name = _name(case) or reading.name
    return Verdict(reading.family, "corrected", name, reading.ours, reading.human, reading.ours == reading.human)


def _compare(case: Row, scoring: Scoring, reference: Row, scenarios: Scenarios) -> Verdict:
    if "instruction_id" in case:  # a text and one constraint: no scenario is needed
        family: Family[Any] = FAMILIES["instruct"]
        ours = constraint_verdict(case, scoring)
        name = _name(case) or f"{case['instruction_id']}: {case.get('response')!r}"
    else:
        family, scenario = _find_scenario(case, scenarios)
        ours = family.score_case(scenario, case, scoring)
        name = _name(case) or scenario.id
    names = _RELEASED_NAMES.get(family.name, {}) if scoring == "published" else {}
    wanted = {names.get(metric, metric): value for metric, value in reference.items()}
    shared = [metric for metric in wanted if metric in family.metrics or metric == "passed"]
    failed = scoring == "published" and "error" in wanted
    agrees = failed == ("error" in ours) if scoring == "published" else True
    agrees = agrees and all(_equal(ours.get(metric), wanted[metric], scoring) for metric in shared)
    shown = [*shared, "error"] if failed or "error" in ours else shared
    return Verdict(family.name, scoring, name, _text(ours, shown), _text(wanted, shown), agrees)


def _find_scenario(case: Row, scenarios: Scenarios) -> tuple[Family[Any], Scenario[Any]]:
    identity = read_field(case, "scenario_id", str)
    for family, by_id in scenarios.items():
        if identity in by_id:
            return FAMILIES[family], by_id[identity]
    raise RowError(f"the dataset has no scenario {identity!r}; name the dataset of the cases", "scenario_id")


def _equal(ours: object, wanted: object, scoring: Scoring) -> bool:
    if not isinstance(ours, float) or not isinstance(wanted, int | float):
        return False
    return abs(ours - wanted) <= _TOLERANCE[scoring]


def _name(case: Row) -> str:
    return str(case.get("case_id") or case.get("name") or "")


def _text(values: Mapping[str, object], metrics: list[str]) -> str:
    return ", ".join(f"{m} {v:.3g}" if isinstance(v := values.get(m), float | int) else f"{m} {v}" for m in metrics)
