"""The instruct family's answers to :class:`muses_eval.pipeline.families.family.Family`."""

import random
from collections.abc import Iterator

from muses_eval.pipeline.datasets.row_reader import RowError, take
from muses_eval.pipeline.episode.protocol import Action, Delivery
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.instruct import (
    corrected_scoring as corrected,
    published_scoring as published,
    scenario,
)
from muses_eval.pipeline.families.instruct.constraints import corrected as careful, published as released
from muses_eval.pipeline.families.instruct.constraints.constraint import read_constraint
from muses_eval.pipeline.families.instruct.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.instruct.scenario import InstructTruth
from muses_eval.pipeline.families.instruct.scripted_agents import InstructAgent
from muses_eval.pipeline.families.silent_user import SilentUser
from muses_eval.pipeline.rng import RandomGenerator


class InstructFamily:
    """Carry out each principal's instruction under verifiable constraints."""

    name = "instruct"
    metrics = ("accuracy", "weighted_accuracy", "all_passed", "parse_ok", "social_welfare")
    max_turns = 1
    paper_size = 555
    scorer_version = 1

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[InstructTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[InstructTruth], reply: str) -> Action:
        """Everybody gets its own answer, once."""
        answers = corrected.read_answers(scenario.names, reply)
        deliveries = tuple(Delivery((name,), answers[name]) for name in scenario.names if name in answers)
        return Action(deliveries=deliveries, final=True, readable=bool(answers))

    def scripted_user(self, scenario: Scenario[InstructTruth], name: str, rng: RandomGenerator) -> SilentUser:  # noqa: ARG002
        return SilentUser()

    def scripted_agent(
        self, scenario: Scenario[InstructTruth], kind: ScriptedKind, rng: random.Random
    ) -> InstructAgent:
        return InstructAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[InstructTruth], transcript: Transcript) -> tuple[Score, ...]:
        reply = "".join(text for _, text in transcript.replies())
        return tuple(
            Score(scoring, metric, value)
            for scoring in ("published", "corrected")
            for metric, value in _figures(scenario, reply, scoring).items()
            if isinstance(value, float)
        )

    def score_case(self, scenario: Scenario[InstructTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        """A case is the ``raw_output`` of one reply, or (``kind``: ``constraint``) one text under one constraint."""
        if case.get("kind") == "constraint":
            return _verdict(case, scoring)
        return _figures(scenario, take(case, "raw_output", str), scoring)


def _verdict(case: Row, scoring: Scoring) -> dict[str, float | str]:
    identifier = take(case, "instruction_id", str)
    kwargs = take(case, "kwargs", dict)
    text = take(case, "response", str)
    if scoring == "published":
        return {"passed": float(released.passes(identifier, kwargs, text))}
    try:
        constraint = read_constraint(identifier, kwargs, "kwargs")
    except RowError as error:  # the published scorer goes on as well
        return {"passed": 0.0, "error": f"{error.field}: {error.problem}"}
    return {"passed": float(careful.passes(constraint.id, constraint.kwargs, text))}


def _figures(scenario: Scenario[InstructTruth], reply: str, scoring: Scoring) -> dict[str, float | str]:
    if scoring == "corrected":
        judged = corrected.score(scenario.truth, reply)
        return {**_common(judged), "social_welfare": judged.social_welfare}
    recorded = published.score(scenario.truth, reply)
    figures = _common(recorded)
    return figures if recorded.error is None else {**figures, "error": recorded.error}


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "accuracy": result.accuracy,
        "weighted_accuracy": result.weighted_accuracy,
        "all_passed": float(result.all_passed),
        "parse_ok": float(result.parse_ok),
    }
