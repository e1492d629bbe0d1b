"""The result of one check by each scoring, which the sections of queue and instruct show side by side."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import SCORINGS, Scoring


@dataclass(frozen=True, slots=True)
class Check:
    """One check; the row of each scoring that makes it."""

    rows: Mapping[Scoring, Evidence]

    @property
    def first(self) -> Evidence:
        """The row with what both scorings share: the principal, the words and what is expected."""
        return next(iter(self.rows.values()))

    @property
    def failed(self) -> bool:
        """True when it fails by any scoring."""
        return any(row.verdict == "fail" for row in self.rows.values())


@dataclass(frozen=True, slots=True)
class ChecksSection:
    """All checks of an episode, failed ones first."""

    template: str
    checks: tuple[Check, ...]
    problems: tuple[tuple[Scoring, str], ...]
    """(scoring, why it reads nothing in the reply)."""

    @property
    def failed(self) -> int:
        return sum(check.failed for check in self.checks)


def checks_section(template: str, rows: Iterable[Evidence], reply_rule: str) -> ChecksSection:
    """Returns the section of an episode.  *reply_rule*: rule of the rows that say why a reply is not read."""
    pairs: dict[tuple[object, ...], dict[Scoring, Evidence]] = {}
    seen: dict[tuple[object, ...], int] = {}
    problems = []
    for row in rows:
        if row.rule == reply_rule:
            problems.append((row.scoring, row.found))
            continue
        check = (row.principal, row.rule, row.expected)
        number = seen[row.scoring, check] = seen.get((row.scoring, check), 0) + 1
        pairs.setdefault((check, number), {})[row.scoring] = row
    checks = (Check({each: found[each] for each in SCORINGS if each in found}) for found in pairs.values())
    return ChecksSection(template, tuple(sorted(checks, key=lambda check: not check.failed)), tuple(problems))
