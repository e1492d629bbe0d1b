"""The interface of a scenario family: one kind of scenario with its rules.

To add a family, write a package with one object that satisfies :class:`Family`; docs/new_family.md describes how.  A
family holds no state and does no I/O.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, TypeVar, get_args

from muses_eval.pipeline.agents.facts import Facts
from muses_eval.pipeline.agents.interface import TurnReply
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.interfaces import Action, PrincipalView
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.rng import RandomGenerator

T = TypeVar("T")

Row = Mapping[str, object]
"""A scenario as a JSON object of a JSONL file, in the published format."""

ScriptedKind = Literal["oracle", "compliant", "refuse", "random"]
"""Built-in agents: ``oracle`` knows the ground truth, ``compliant`` does what any user asks, ``refuse`` does nothing,
``random`` makes every decision with probability 1/2."""
SCRIPTED_KINDS: tuple[ScriptedKind, ...] = get_args(ScriptedKind)


class ScriptedUser(Protocol):
    """A rule-based user: deterministic for a given seed, and without cost."""

    def speak(self, view: PrincipalView) -> str:
        """Returns the user's next message; empty when it stays silent."""
        ...


class ScriptedAgent(Protocol):
    """A rule-based agent.  It writes replies as a model would, so that the same code reads and scores them."""

    def speak(self, heard: tuple[Input, ...]) -> str:
        """Returns the raw reply to the users' messages of this turn."""
        ...


class Family(Protocol[T]):
    """One kind of scenario.  ``T`` is the type of its ground truth."""

    @property
    def name(self) -> str: ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all metrics that :meth:`score` may return, the leaderboard's columns first."""
        ...

    @property
    def max_turns(self) -> int: ...

    @property
    def scorer_version(self) -> int:
        """Version of the scoring rules, from 1.  Increase it whenever a result of :meth:`score` may change."""
        ...

    @property
    def paper_size(self) -> int:
        """Number of scenarios in the paper (appendix A.3), which is the size ``paper`` of a generated dataset."""
        ...

    def matches(self, row: Row) -> bool:
        """Returns whether a row is meant to be a scenario of this family, even if it is malformed."""
        ...

    def read(self, row: Row) -> Scenario[T]:
        """Converts a row to a scenario.

        Raises:
            RowError: a field is missing or malformed; the error names the field and what was expected.
        """
        ...

    def generate(self, count: int, seed: int, user_counts: range | None = None) -> Iterator[Row]:
        """Yields *count* scenarios in the published format; the same arguments give the same rows on every machine.

        *user_counts*: the numbers of users, each equally often; those of the paper when None.
        """
        ...

    def interpret(self, scenario: Scenario[T], reply: str) -> Action:
        """Converts the agent's reply to an action; never raises."""
        ...

    def facts(self, scenario: Scenario[T]) -> Facts:
        """Returns as data what the briefing says of permissions, precedence and required principals.

        It contains nothing of the ground truth that the briefing does not contain.
        """
        ...

    def write_reply(self, scenario: Scenario[T], reply: TurnReply) -> str:
        """Returns the reply of an agent as the text that the briefing asks a model for.

        :meth:`interpret` of this text delivers what the fields say.

        Raises:
            ReplyFieldError: a field is malformed, or this family has no place for it
                (:mod:`muses_eval.pipeline.families.reply_format`).
        """
        ...

    def scripted_user(self, scenario: Scenario[T], name: str, rng: RandomGenerator) -> ScriptedUser:
        """Returns the rule-based user for one principal of an episode."""
        ...

    def scripted_agent(self, scenario: Scenario[T], kind: ScriptedKind, rng: random.Random) -> ScriptedAgent:
        """Returns a built-in agent for one episode."""
        ...

    def score(self, scenario: Scenario[T], transcript: Transcript) -> tuple[Score, ...]:
        """Returns all scores of an episode, by both scorings; never raises, whatever the agent wrote."""
        ...

    def evidence(self, scenario: Scenario[T], transcript: Transcript) -> tuple[Evidence, ...]:
        """Returns the checks behind the scores of an episode, by both scorings; never raises, whatever the agent wrote.

        Keep the rows few and their texts short, because they are stored with the episode.  Increase
        :attr:`scorer_version` when they change.  The method is optional (:func:`evidence_of`).
        """
        ...

    def score_case(self, scenario: Scenario[T], case: Row, scoring: Scoring) -> dict[str, float | str]:
        """Scores one recorded reply in the format of ``muses score``: metric -> value, and possibly ``error``.

        Raises:
            RowError: the case is malformed.
        """
        ...


def evidence_of(family: Family[T], scenario: Scenario[T], transcript: Transcript) -> tuple[Evidence, ...]:
    """Returns the evidence of an episode; empty for a family of an installed package without the method."""
    return family.evidence(scenario, transcript) if hasattr(family, "evidence") else ()


def is_multi_turn(family: Family[T]) -> bool:
    """Returns whether users reply to the agent; with one turn, all of them have written before it answers."""
    return family.max_turns > 1
