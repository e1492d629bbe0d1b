"""Why an access episode has its scores: who may have the resource, and what reached whom, in which turn.

Everything comes from the stored evidence, so it does not depend on the dataset.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.score import Scoring

_STANDING_RULE = "access"
"""Rule of the row that says whether a principal may have the resource, and whether it received it."""
_ROW_ERROR = "row_error"

CellKind = Literal["leak", "received", "nothing", "silent"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One principal: whether it may have the resource, and what it received by each scoring."""

    name: str
    is_authorized: bool
    text: str
    """Grant, role and authority in words."""
    results: Mapping[Scoring, Evidence]

    @property
    def role(self) -> str:
        """Role and authority in words."""
        return self.text.removeprefix("not ").removeprefix("authorised").removeprefix(" as").lstrip(", ")


@dataclass(frozen=True, slots=True)
class Leak:
    """Words of one message that gave an unauthorized principal a part of the resource."""

    number: int
    """1-based number in the episode; the page has an anchor with it."""
    turn: int
    principal: str
    words: str
    """The words of the message; the part of the resource when only several messages together disclose it."""
    rules: Mapping[Scoring, str]
    """The broken rule of each scoring that counts the leak."""

    @property
    def rule(self) -> str:
        """The broken rules in words."""
        by_rule: dict[str, list[str]] = {}
        for scoring, rule in self.rules.items():
            by_rule.setdefault(rule.replace("_", " "), []).append(scoring)
        return "; ".join(f"{rule} ({' and '.join(scorings)} scoring)" for rule, scorings in by_rule.items())


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What one principal received in one turn."""

    kind: CellKind
    scorings: tuple[Scoring, ...]
    """The scorings that count it; empty for ``nothing`` and ``silent``."""
    anchor: str
    """Fragment of the place on the page."""


@dataclass(frozen=True, slots=True)
class AccessSection:
    """The evidence of an access episode, arranged by principal and turn."""

    standings: tuple[Standing, ...]
    leaks: tuple[Leak, ...]
    missing: tuple[Evidence, ...]
    """Facts that an authorized principal did not receive."""
    row_errors: tuple[str, ...]
    """Why the released code cannot score the replies, which makes both published scores 0."""
    turns: tuple[int, ...]
    """Turns in which a principal could receive something."""
    cells: Mapping[tuple[str, int], MatrixCell]
    """(principal, turn) -> cell."""
    template: str = field(default="why_access.html", init=False)

    def standing_of(self, name: str) -> Standing | None:
        """Returns the standing of a principal; None when the evidence has none."""
        return next((standing for standing in self.standings if standing.name == name), None)

    def leaks_to(self, name: str, turn: int) -> tuple[Leak, ...]:
        """Returns the leaks to a principal in a turn."""
        return tuple(leak for leak in self.leaks if (leak.principal, leak.turn) == (name, turn))


def access_section(episode: Episode) -> AccessSection | None:
    """Returns the section of an access episode; None for another family, and for an episode without evidence."""
    if episode.family != "access" or not episode.evidence:
        return None
    standings = _standings(episode.evidence)
    order = [standing.name for standing in standings]
    leaks = _leaks(episode.evidence, order)
    turns = tuple(sorted({message.turn for message in episode.messages if message.turn > 0}))
    received = {
        (row.principal, row.turn, row.scoring)
        for row in episode.evidence
        if row.metric == "utility" and row.verdict == "pass" and row.turn is not None
    }
    reached = {
        (name, message.turn) for message in episode.messages if message.sender == AGENT for name in message.audience
    }

    def cell(name: str, turn: int) -> MatrixCell:
        here = [leak for leak in leaks if (leak.principal, leak.turn) == (name, turn)]
        if here:
            scorings = dict.fromkeys(scoring for leak in here for scoring in leak.rules)
            return MatrixCell("leak", tuple(scorings), f"leak-{here[0].number}")
        by = tuple(scoring for who, when, scoring in sorted(received, key=str) if (who, when) == (name, turn))
        if by:
            return MatrixCell("received", by, f"turn-{turn}")
        return MatrixCell("nothing" if (name, turn) in reached else "silent", (), f"turn-{turn}")

    return AccessSection(
        standings=standings,
        leaks=leaks,
        missing=tuple(
            row
            for row in episode.evidence
            if row.metric == "utility" and row.verdict == "fail" and row.rule != _STANDING_RULE and row.principal
        ),
        row_errors=tuple(dict.fromkeys(row.found for row in episode.evidence if row.rule == _ROW_ERROR)),
        turns=turns,
        cells={(name, turn): cell(name, turn) for name in order for turn in turns},
    )


def _standings(evidence: Iterable[Evidence]) -> tuple[Standing, ...]:
    rows: dict[str, list[Evidence]] = {}
    for row in evidence:
        if row.rule == _STANDING_RULE and row.principal is not None:
            rows.setdefault(row.principal, []).append(row)
    return tuple(
        Standing(
            name=name,
            is_authorized=found[0].metric == "utility",
            text=found[0].expected,
            results={row.scoring: row for row in found},
        )
        for name, found in rows.items()
    )


def _leaks(evidence: Sequence[Evidence], order: Sequence[str]) -> tuple[Leak, ...]:
    """Returns the leaks, sorted by turn and principal; the same words are one leak, whichever scorings count them."""
    rows = [
        row
        for row in evidence
        if row.metric == "privacy" and row.verdict == "fail" and row.turn is not None and row.rule != _STANDING_RULE
    ]

    def place(row: Evidence) -> tuple[int, int, str]:
        at = order.index(row.principal) if row.principal in order else len(order)
        return row.turn or 0, at, row.span or row.expected

    return tuple(
        Leak(number, same[0].turn or 0, same[0].principal or "", words, {row.scoring: row.rule for row in same})
        for number, ((_, _, words), same) in enumerate(
            ((key, list(group)) for key, group in groupby(sorted(rows, key=place), key=place)), 1
        )
    )
