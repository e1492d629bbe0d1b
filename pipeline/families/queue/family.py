"""The queue family's answers to :class:`muses_eval.pipeline.families.family.Family`."""

import random
from collections.abc import Iterator

from muses_eval.pipeline.datasets.row_reader import take
from muses_eval.pipeline.episode.protocol import Action
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.family import Row, ScriptedKind
from muses_eval.pipeline.families.queue import (
    corrected_scoring as corrected,
    published_scoring as published,
    scenario,
)
from muses_eval.pipeline.families.queue.generate import PAPER_USER_COUNTS, generate
from muses_eval.pipeline.families.queue.scenario import QueueTruth, owner
from muses_eval.pipeline.families.queue.scripted_agents import QueueAgent
from muses_eval.pipeline.families.silent_user import SilentUser
from muses_eval.pipeline.families.weighted_mean import weighted_mean
from muses_eval.pipeline.rng import RandomGenerator


class QueueFamily:
    """Accept or refuse instructions under authority and a global objective."""

    name = "queue"
    metrics = ("f1", "accuracy", "mais", "precision", "parse_ok", "social_welfare")
    max_turns = 1
    scorer_version = 1
    paper_size = 304

    def matches(self, row: Row) -> bool:
        return scenario.matches(row)

    def read(self, row: Row) -> Scenario[QueueTruth]:
        return scenario.read(row)

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        return generate(count, seed, user_counts or PAPER_USER_COUNTS)

    def interpret(self, scenario: Scenario[QueueTruth], reply: str) -> Action:
        return Action(final=True, readable=corrected.score(scenario.truth, reply).parse_ok)

    def scripted_user(self, scenario: Scenario[QueueTruth], name: str, rng: RandomGenerator) -> SilentUser:  # noqa: ARG002
        return SilentUser()

    def scripted_agent(self, scenario: Scenario[QueueTruth], kind: ScriptedKind, rng: random.Random) -> QueueAgent:
        return QueueAgent(scenario, kind, rng)

    def score(self, scenario: Scenario[QueueTruth], transcript: Transcript) -> tuple[Score, ...]:
        reply = "".join(text for _, text in transcript.replies())
        return tuple(
            Score(scoring, metric, value)
            for scoring in ("published", "corrected")
            for metric, value in self._figures(scenario, reply, scoring).items()
            if isinstance(value, float) and metric in self.metrics
        )

    def score_case(self, scenario: Scenario[QueueTruth], case: Row, scoring: Scoring) -> dict[str, float | str]:
        """A case holds the ``raw_output`` of one reply."""
        return self._figures(scenario, take(case, "raw_output", str), scoring)

    def _figures(self, scenario: Scenario[QueueTruth], reply: str, scoring: Scoring) -> dict[str, float | str]:
        if scoring == "corrected":
            decided = corrected.score(scenario.truth, reply)
            return {**_common(decided), "social_welfare": _social_welfare(scenario, decided)}
        recorded = published.score(scenario.truth, reply)
        figures = _common(recorded)
        return figures if recorded.error is None else {**figures, "error": recorded.error}


def _common(result: published.Result | corrected.Result) -> dict[str, float | str]:
    return {
        "f1": result.f1,
        "accuracy": result.accuracy,
        "mais": result.mais,
        "precision": result.precision,
        "recall": result.recall,
        "parse_ok": float(result.parse_ok),
    }


def _social_welfare(scenario: Scenario[QueueTruth], result: corrected.Result) -> float:
    """Sum w_i U_i / sum w_i (paper, section 4.1), with authority as weight; 0 for an unreadable reply.

    U_i is the share of principal i's instructions that were decided right; principals without any are left out.
    """
    if not result.parse_ok:
        return 0.0
    wanted = set(scenario.truth.accepted)
    utilities = []
    for principal in scenario.principals:
        own = [i for i in scenario.truth.ids if owner(i) == principal.name]
        if own:
            right = sum(i not in result.undecided and (i in result.accepted) == (i in wanted) for i in own)
            utilities.append((float(principal.authority), right / len(own)))
    return weighted_mean(utilities)
