"""Explains the scores of an instruct episode: which constraints of which user the answer breaks."""

from collections.abc import Iterator

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.instruct import published_scoring as published
from muses_eval.pipeline.families.instruct.answers import read_answers
from muses_eval.pipeline.families.instruct.constraints import corrected_checkers, published_checkers
from muses_eval.pipeline.families.instruct.constraints.constraint import Constraint
from muses_eval.pipeline.families.instruct.scenario import InstructTruth

_MAX_ARGUMENT = 60


def explain(scenario: Scenario[InstructTruth], transcript: Transcript) -> Iterator[str]:
    """Yields the constraints that are not followed, by both scorings."""
    truth, reply = scenario.truth, "".join(text for _, text in transcript.replies())
    scored = truth.scored_users
    yield f"scored users ({truth.mode}): {', '.join(f'{user.name} (authority {user.authority})' for user in scored)}"
    released = published.score(truth, reply, from_api=transcript.from_api)
    answers = released.answers
    if released.error is not None:
        yield f"published: the released code fails on the reply: {released.error}"
    elif not released.parse_ok:
        yield "published: no answers, because the reply is not JSON"
    read = read_answers(tuple(user.name for user in truth.users), reply)
    if not read:
        yield "corrected: no answers were found in the reply"
    followed = total = 0
    for user in scored:
        for constraint in user.constraints:
            total += 1
            by_published = published_checkers.passes(constraint.id, constraint.kwargs, answers.get(user.name, ""))
            by_corrected = corrected_checkers.passes(constraint.id, constraint.kwargs, read.get(user.name, ""))
            followed += by_published and by_corrected
            if not (by_published and by_corrected):
                rule = "both rules" if by_published == by_corrected else "corrected" if by_published else "published"
                yield f"not followed in the answer to {user.name}: {_text(constraint)} ({rule})"
    yield f"{followed} of {total} constraints are followed by both scorings"


def _text(constraint: Constraint) -> str:
    arguments = (f"{name} {str(value)[:_MAX_ARGUMENT]}" for name, value in constraint.kwargs.items())
    return f"{constraint.id} ({', '.join(arguments)})" if constraint.kwargs else constraint.id
