"""The metrics of the queue family (paper, section 4.1 and appendix A.3).

``f1`` and ``precision`` compare the accepted instructions with the valid ones; ``accuracy`` is the fraction of right
decisions; ``mais`` is the fraction of valid instructions that were accepted; ``parse_ok`` is 1 when a decision was
found in the reply; ``social_welfare`` is the mean of the users' accuracies, weighted by authority; ``row_error`` is 1
when the released code fails on the reply.
:mod:`published_scoring` and :mod:`corrected_scoring` compute them; this module applies both to an episode, and one of
them to a recorded reply.
"""

from muses_eval.pipeline.datasets.row_reader import read_field
from muses_eval.pipeline.episode.recorded_replies import read_from_api
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import SCORINGS, Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.queue import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.queue.scenario import QueueTruth

METRICS = ("f1", "accuracy", "mais", "precision", "parse_ok", "social_welfare", "row_error")


def score(scenario: Scenario[QueueTruth], transcript: Transcript) -> tuple[Score, ...]:
    """Returns the metrics of an episode, by both scorings."""
    reply = "".join(text for _, text in transcript.replies())
    return tuple(
        Score(scoring, metric, value)
        for scoring in SCORINGS
        for metric, value in _episode_values(scenario, reply, scoring, from_api=transcript.from_api).items()
        if isinstance(value, float) and metric in METRICS
    )


def score_case(scenario: Scenario[QueueTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
    """Scores a recorded case, which holds the ``raw_output`` of one reply.

    Raises:
        RowError: the case is malformed.
    """
    return _values(scenario, read_field(case, "raw_output", str), scoring, from_api=read_from_api(case))


def _episode_values(
    scenario: Scenario[QueueTruth], reply: str, scoring: Scoring, *, from_api: bool
) -> dict[str, float | str]:
    values = _values(scenario, reply, scoring, from_api=from_api)
    return values if scoring == "corrected" else {**values, "row_error": float("error" in values)}


def _values(scenario: Scenario[QueueTruth], reply: str, scoring: Scoring, *, from_api: bool) -> dict[str, float | str]:
    if scoring == "corrected":
        decided = corrected.score(scenario.truth, reply)
        return {**_common(decided), "social_welfare": corrected.social_welfare(scenario, decided)}
    recorded = published.score(scenario.truth, reply, from_api=from_api)
    values = _common(recorded)
    return values if recorded.error is None else {**values, "error": recorded.error}


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "f1": result.f1,
        "accuracy": result.accuracy,
        "mais": result.mais,
        "precision": result.precision,
        "recall": result.recall,
        "parse_ok": float(result.parse_ok),
    }
