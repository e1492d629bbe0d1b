"""What a family is: one kind of scenario with its rules.

A family is added by writing one module (or a folder) with one object that satisfies :class:`Family`, and naming it in
``pipeline/families/__init__.py``.  It holds no state and does no I/O.
"""

import random
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol, TypeVar, get_args

from muses_eval.pipeline.episode.protocol import Action, View
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.score import Score, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.rng import Dice

T = TypeVar("T")

Row = Mapping[str, object]
"""A scenario as it stands in a JSONL file, in the published shape."""

ScriptedKind = Literal["oracle", "compliant", "refuse", "random"]
"""Built-in agents: ``oracle`` knows the ground truth, ``compliant`` does what anyone asks, ``refuse`` does nothing,
``random`` tosses a fair coin for every decision."""
SCRIPTED_KINDS: tuple[ScriptedKind, ...] = get_args(ScriptedKind)


class ScriptedUser(Protocol):
    """A rule-based principal: deterministic, free."""

    def speak(self, view: View) -> str:
        """What it says next; empty for silence."""
        ...


class ScriptedAgent(Protocol):
    """A rule-based agent; it writes replies as a model would, so that the whole path is exercised."""

    def speak(self, heard: tuple[Input, ...]) -> str:
        """The raw reply to what the principals said in this turn."""
        ...


class Family(Protocol[T]):
    """One kind of scenario."""

    @property
    def name(self) -> str: ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that :meth:`score` may give, the leaderboard's columns first."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The metrics that count as columns of the leaderboard."""
        ...

    @property
    def max_turns(self) -> int: ...

    @property
    def scorer_version(self) -> int:
        """1-based.  Raise it with every change after which :meth:`score` may give another answer."""
        ...

    @property
    def paper_size(self) -> int:
        """How many scenarios the paper evaluates (appendix A.3): the size ``paper`` of a generated dataset."""
        ...

    def recognises(self, row: Row) -> bool:
        """Whether a row of unknown origin is meant to be one of this family."""
        ...

    def read(self, row: Row) -> Scenario[T]:
        """Raises ``rows.RowError`` with the field and what was expected of it."""
        ...

    def generate(self, count: int, seed: int, sizes: range | None = None) -> Iterator[Row]:
        """*count* scenarios in the published shape; the same arguments give the same rows on any machine.

        *sizes*: the numbers of users, each equally often; None: those of the paper.
        """
        ...

    def interpret(self, scenario: Scenario[T], reply: str) -> Action:
        """What a reply means in the protocol; never raises."""
        ...

    def user(self, scenario: Scenario[T], name: str, dice: Dice) -> ScriptedUser:
        """The rule-based user model of one principal."""
        ...

    def agent(self, scenario: Scenario[T], kind: ScriptedKind, rng: random.Random) -> ScriptedAgent:
        """A built-in agent for one episode."""
        ...

    def score(self, scenario: Scenario[T], transcript: Transcript) -> tuple[Score, ...]:
        """All scores of an episode, in both scorings; never raises, whatever the agent said."""
        ...

    def score_case(self, scenario: Scenario[T], case: Row, scoring: Scoring) -> dict[str, float | str]:
        """Scores one recorded reply (the format of ``muses score``).  Raises ``rows.RowError`` for a bad case."""
        ...


def users_reply(family: Family[T]) -> bool:
    """Whether anybody answers the agent: in a family of one turn the users have said everything before."""
    return family.max_turns > 1
