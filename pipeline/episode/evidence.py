"""The evidence behind a score: what was checked, on whom, where in the transcript, and with which result.

A family makes the evidence when it scores an episode; it is stored with the scores, so that pages, ``muses trace`` and
SQL explain every score without the dataset.  docs/traces.md lists the rules of each family.
"""

from dataclasses import dataclass
from typing import Literal

from muses_eval.pipeline.episode.score import Scoring

Verdict = Literal["pass", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One check by one scoring."""

    scoring: Scoring
    metric: str
    """Metric of the leaderboard that the check bears on, such as ``privacy``."""
    rule: str
    """What was checked: the kind of a leaked text, the id of an instruction or of a constraint, ``slot``, ..."""
    verdict: Verdict | None = None
    """None for a fact that other checks rest on, such as a slot that a principal prefers."""
    principal: str | None = None
    """The principal concerned; None when the check concerns all."""
    turn: int | None = None
    """Turn of the message with the span, from 1; None when the check concerns the whole episode."""
    span: str = ""
    """The words of that message; empty when there are none."""
    expected: str = ""
    """What the ground truth asks for, in words."""
    found: str = ""
    """What the agent did, in words."""
