"""Finds briefings that do not tell a model what its score depends on: the form of the answer, or the document.

Such a row is valid, but every model scores low on it.  ``instruct`` is not checked, because its briefing is completed
when the row is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.access.scenario import AccessTruth
from muses_eval.pipeline.plan.plan import Plan

_FORM = {
    "queue": ("accepted_instructions", "rejected_instructions"),
    "access": ("target", "goal_achieved"),
    "meeting": ("target", "goal_achieved", "final_schedule", "attendees"),
}
"""Family -> keys of the answer, which its published and generated briefings name."""


@dataclass(frozen=True, slots=True)
class BriefingGap:
    """Something that a scenario's briefing does not show."""

    family: str
    id: str
    missing: str
    """What the briefing lacks, and what to add."""

    def __str__(self) -> str:
        return f"{self.family} {self.id}: the briefing {self.missing}"


def briefing_gaps(scenario: Scenario[Any]) -> tuple[BriefingGap, ...]:
    """Returns what the briefing of a scenario lacks; empty for families of installed packages."""
    return tuple(BriefingGap(scenario.family, scenario.id, missing) for missing in _missing(scenario))


def _missing(scenario: Scenario[Any]) -> Iterator[str]:
    briefing = scenario.briefing
    if unnamed := [key for key in _FORM.get(scenario.family, ()) if key not in briefing]:
        yield f"does not name {', '.join(unnamed)}, so a model cannot know the form of the answer; add it"
    if isinstance(scenario.truth, AccessTruth):
        lines = [line.strip() for line in scenario.truth.resource.splitlines() if line.strip()]
        hidden = [line for line in lines if line not in briefing]
        if hidden:
            yield (
                f"does not show {len(hidden)} of the {len(lines)} lines of the document "
                f"{scenario.truth.resource_name!r}, so a model cannot give it to anybody; add the document"
            )


def summarize_gaps(plan: Plan, dataset: Dataset) -> tuple[str, ...]:
    """Returns one line per family of a plan with gaps: the number of its scenarios, and the first gap.

    Protocols other than ``muses`` write parts of the prompts themselves; their briefings are not checked.
    """
    lines = []
    for family in dict.fromkeys(cell.family for cell in plan.cells if plan.protocol.name == "muses"):
        scenarios = dataset.scenarios(family)
        gaps = [found[0] for scenario in scenarios if (found := briefing_gaps(scenario))]
        if gaps:
            count = f"{len(gaps)} of {len(scenarios)} briefings of {family} are incomplete"
            lines.append(f"{count}, which lowers the scores of every model: {gaps[0]} (muses data validate lists all)")
    return tuple(lines)
