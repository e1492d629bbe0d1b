"""Rates of agreement with recorded verdicts, with Wilson's intervals."""

from collections.abc import Iterable
from dataclasses import dataclass

from muses_eval.pipeline.agreement.verdict import Verdict
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.storage.analysis.intervals import Bounds, wilson_interval


@dataclass(frozen=True, slots=True)
class AgreementRate:
    """Agreement of one scoring with the verdicts of one family."""

    family: str
    scoring: Scoring
    cases: int
    agreeing: int

    @property
    def share(self) -> float:
        return self.agreeing / self.cases

    @property
    def interval(self) -> Bounds:
        """95 % interval of the share, as if the cases were a random sample of independent ones."""
        return wilson_interval(self.agreeing, self.cases)


def agreement_rates(verdicts: Iterable[Verdict]) -> tuple[AgreementRate, ...]:
    """Returns one rate per scoring and family, in the order of their first verdicts."""
    counts: dict[tuple[Scoring, str], list[bool]] = {}
    for verdict in verdicts:
        counts.setdefault((verdict.scoring, verdict.family), []).append(verdict.agrees)
    return tuple(
        AgreementRate(family, scoring, len(agreeing), sum(agreeing)) for (scoring, family), agreeing in counts.items()
    )
