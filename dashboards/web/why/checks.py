"""The checks of an episode by both scorings, which the sections of queue and instruct show side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from muses_eval.dashboards.tables.evidence_checks import Check, paired
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import Scoring


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


def checks_section(template: str, rows: Sequence[Evidence], reply_rule: str) -> ChecksSection:
    """Returns the section of an episode.  *reply_rule*: rule of the rows that say why a reply is not read."""
    checks = paired(row for row in rows if row.rule != reply_rule)
    problems = tuple((row.scoring, row.found) for row in rows if row.rule == reply_rule)
    return ChecksSection(template, tuple(sorted(checks, key=lambda check: not check.failed)), problems)
