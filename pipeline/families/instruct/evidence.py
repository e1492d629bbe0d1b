"""The evidence of an instruct episode: every constraint of the scored users, and whether the answer follows it.

``accuracy`` is the fraction of constraints that pass.
"""

from collections.abc import Iterator

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.instruct import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.instruct.constraints import corrected_checkers, published_checkers
from muses_eval.pipeline.families.instruct.constraints.description import describe_constraint, describe_failure
from muses_eval.pipeline.families.instruct.scenario import InstructTruth

NO_ANSWERS = "answers"
"""Rule of the row that says why a reply has no answers; the rules of all others are ids of constraints."""


def evidence(scenario: Scenario[InstructTruth], transcript: Transcript) -> Iterator[Evidence]:
    """Yields a row per constraint of a scored user, and per reply without answers."""
    truth, reply = scenario.truth, "".join(text for _, text in transcript.replies())
    released = published.score(truth, reply, from_api=transcript.from_api)
    yield from _rows("published", truth, released)
    if released.error is not None:
        yield _unreadable("published", f"the released code fails on the reply: {released.error}")
    elif not released.parse_ok:
        yield _unreadable("published", "the reply is not JSON, so every answer is empty")
    read = corrected.score(truth, reply)
    yield from _rows("corrected", truth, read)
    if not read.parse_ok:
        yield _unreadable("corrected", "no answers were found in the reply")


def _rows(scoring: Scoring, truth: InstructTruth, result: published.Result | corrected.Result) -> Iterator[Evidence]:
    checkers = published_checkers if scoring == "published" else corrected_checkers
    verdicts = iter(result.verdicts)
    for user in truth.scored_users:
        answer = result.answers.get(user.name, "")
        for constraint in user.constraints:
            passed = next(verdicts, False)
            yield Evidence(
                scoring=scoring,
                metric="accuracy",
                rule=constraint.id,
                verdict="pass" if passed else "fail",
                principal=user.name,
                turn=1,
                expected=describe_constraint(constraint),
                found="" if passed else describe_failure(constraint, answer, checkers.passes, checkers.count_found),
            )


def _unreadable(scoring: Scoring, problem: str) -> Evidence:
    return Evidence(
        scoring=scoring,
        metric="parse_ok",
        rule=NO_ANSWERS,
        verdict="fail",
        turn=1,
        expected="an answer to each user",
        found=problem,
    )
