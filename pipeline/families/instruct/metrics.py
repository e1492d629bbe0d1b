"""The metrics of the instruct family (paper, section 4.1 and appendix A.3).

``accuracy`` is the fraction of constraints that the answers follow; ``weighted_accuracy`` the same, weighted by
authority; ``all_passed`` tells whether all constraints are followed, ``parse_ok`` whether answers were found;
``social_welfare`` is the mean of the users' accuracies, weighted by authority; ``row_error`` tells whether the released
code fails on the reply.  :mod:`published_scoring` and :mod:`corrected_scoring` compute them.  This module applies both
to an episode, and one of them to a recorded reply.
"""

from muses_eval.pipeline.datasets.row_reader import RowError, read_field
from muses_eval.pipeline.episode.recorded_replies import read_from_api
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import SCORINGS, Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.instruct import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.instruct.constraints import corrected_checkers, published_checkers
from muses_eval.pipeline.families.instruct.constraints.constraint import read_constraint
from muses_eval.pipeline.families.instruct.scenario import InstructTruth

METRICS = ("accuracy", "weighted_accuracy", "all_passed", "parse_ok", "social_welfare", "row_error")


def score(scenario: Scenario[InstructTruth], transcript: Transcript) -> tuple[Score, ...]:
    """Returns the metrics of an episode, by both scorings."""
    reply = "".join(text for _, text in transcript.replies())
    return tuple(
        Score(scoring, metric, value)
        for scoring in SCORINGS
        for metric, value in _episode_values(scenario, reply, scoring, from_api=transcript.from_api).items()
        if isinstance(value, float) and metric in METRICS
    )


def score_case(scenario: Scenario[InstructTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
    """Scores a recorded case: the ``raw_output`` of one reply, or (``kind``: ``constraint``) one text and constraint.

    Raises:
        RowError: the case is malformed.
    """
    if case.get("kind") == "constraint":
        return constraint_verdict(case, scoring)
    return _values(scenario, read_field(case, "raw_output", str), scoring, from_api=read_from_api(case))


def constraint_verdict(case: Row, scoring: Scoring) -> dict[str, float | str]:
    """Checks one text and one constraint: ``instruction_id``, ``kwargs`` and ``response``.

    Raises:
        RowError: the case is malformed.
    """
    identifier = read_field(case, "instruction_id", str)
    kwargs = read_field(case, "kwargs", dict)
    text = read_field(case, "response", str)
    if scoring == "published":
        return {"passed": float(published_checkers.passes(identifier, kwargs, text))}
    try:
        constraint = read_constraint(identifier, kwargs, "kwargs")
    except RowError as error:  # like the published scorer, which does not stop at an invalid constraint
        return {"passed": 0.0, "error": f"{error.field}: {error.problem}"}
    return {"passed": float(corrected_checkers.passes(constraint.id, constraint.kwargs, text))}


def _episode_values(
    scenario: Scenario[InstructTruth], reply: str, scoring: Scoring, *, from_api: bool
) -> dict[str, float | str]:
    values = _values(scenario, reply, scoring, from_api=from_api)
    return values if scoring == "corrected" else {**values, "row_error": float("error" in values)}


def _values(
    scenario: Scenario[InstructTruth], reply: str, scoring: Scoring, *, from_api: bool
) -> dict[str, float | str]:
    if scoring == "corrected":
        judged = corrected.score(scenario.truth, reply)
        return {**_common(judged), "social_welfare": judged.social_welfare}
    recorded = published.score(scenario.truth, reply, from_api=from_api)
    values = _common(recorded)
    return values if recorded.error is None else {**values, "error": recorded.error}


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "accuracy": result.accuracy,
        "weighted_accuracy": result.weighted_accuracy,
        "all_passed": float(result.all_passed),
        "parse_ok": float(result.parse_ok),
    }
