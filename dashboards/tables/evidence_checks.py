"""One check with its result by each scoring, from the rows of an episode's evidence."""

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


def paired(rows: Iterable[Evidence]) -> tuple[Check, ...]:
    """Returns the checks in the order of their first rows; rows that are alike are paired in their order."""
    pairs: dict[tuple[object, ...], dict[Scoring, Evidence]] = {}
    seen: dict[tuple[object, ...], int] = {}
    for row in rows:
        check = (row.principal, row.rule, row.expected)
        number = seen[row.scoring, check] = seen.get((row.scoring, check), 0) + 1
        pairs.setdefault((check, number), {})[row.scoring] = row
    return tuple(Check({each: found[each] for each in SCORINGS if each in found}) for found in pairs.values())
