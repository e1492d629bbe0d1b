"""Renders the agreement of the scorings with recorded verdicts."""

from collections.abc import Sequence
from typing import Literal

from muses_eval.dashboards.tables.text_table import Table, render_blocks
from muses_eval.pipeline.agreement.verdict import Verdict
from muses_eval.storage.analysis.agreement import AgreementRate

_LONGEST_NAME = 60


def render_agreement(
    rates: Sequence[AgreementRate], disagreements: Sequence[Verdict], form: Literal["table", "md"]
) -> str:
    """Returns a table of the rates, and one of the cases that disagree."""
    summary = Table(("scoring", "family", "cases", "agree", "share", "95 % interval"), _rows(rates), range(2, 6))
    if not disagreements:
        return render_blocks(form, summary)
    cases = Table(
        ("scoring", "family", "case", "scored", "verdict"),
        [(v.scoring, v.family, v.name[:_LONGEST_NAME], v.ours, v.reference) for v in disagreements],
        range(0),
    )
    return render_blocks(form, summary, [""] if form == "table" else [f"{len(disagreements)} disagree"], cases)


def _rows(rates: Sequence[AgreementRate]) -> list[tuple[str, ...]]:
    return [
        (
            rate.scoring,
            rate.family,
            str(rate.cases),
            str(rate.agreeing),
            f"{rate.share:.1%}",
            f"{rate.interval.low:.1%} to {rate.interval.high:.1%}",
        )
        for rate in rates
    ]
