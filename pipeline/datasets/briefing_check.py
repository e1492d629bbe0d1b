"""Finds valid rows on which every model scores low: their briefing does not tell what the score depends on.

That is the form of the answer, or the document; in ``queue``, also an instruction without an expected decision, or a
decision without its instruction.  The form is not checked in ``instruct``, whose briefing is completed when it is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.access.scenario import AccessTruth
from muses_eval.pipeline.families.queue.scenario import QueueTruth, author, reference_number
from muses_eval.pipeline.plan.plan import Plan

_FORM = {
    "queue": ("accepted_instructions", "rejected_instructions"),
    "access": ("target", "goal_achieved"),
    "meeting": ("target", "goal_achieved", "final_schedule", "attendees"),
}
"""Family -> keys of the answer, which its published and generated briefings name."""


@dataclass(frozen=True, slots=True)
class BriefingGap:
    """Something that a scenario does not show to a model."""

    family: str
    id: str
    missing: str
    """The missing part, and the remedy."""

    def __str__(self) -> str:
        return f"{self.family} {self.id}: {self.missing}"


def briefing_gaps(scenario: Scenario[Any]) -> tuple[BriefingGap, ...]:
    """Returns what a scenario lacks; empty for families of installed packages."""
    return tuple(BriefingGap(scenario.family, scenario.id, missing) for missing in _missing(scenario))


def _missing(scenario: Scenario[Any]) -> Iterator[str]:
    briefing = scenario.briefing
    if unnamed := [key for key in _FORM.get(scenario.family, ()) if key not in briefing]:
        yield f"the briefing does not name {', '.join(unnamed)}, so a model cannot know the form of the answer; add it"
    if isinstance(scenario.truth, AccessTruth):
        lines = [line.strip() for line in scenario.truth.resource.splitlines() if line.strip()]
        hidden = [line for line in lines if line not in briefing]
        if hidden:
            yield (
                f"the briefing does not show {len(hidden)} of the {len(lines)} lines of the document "
                f"{scenario.truth.resource_name!r}, so a model cannot give it to anybody; add the document"
            )
    if isinstance(scenario.truth, QueueTruth) and scenario.row_prompt is not None:
        yield from _undecided(scenario.row_prompt.inputs, scenario.truth)


def _undecided(instructions: tuple[Input, ...], truth: QueueTruth) -> Iterator[str]:
    """Compares the instructions of a queue row with the expected decisions, by author and reference number."""
    decided = [(author(decision), reference_number(decision)) for decision in truth.ids]
    lost = [each.text for each in instructions if not any(_is_about(each, *decision) for decision in decided)]
    if lost:
        yield f"expected_output has no decision on {len(lost)} of the instructions, such as {lost[0]!r:.100}; add it"
    extra = [
        f"{name}_task_{ref}" for name, ref in decided if not any(_is_about(each, name, ref) for each in instructions)
    ]
    if extra:
        yield f"no instruction has the reference number of {', '.join(extra)} in expected_output; correct one of them"


def _is_about(instruction: Input, name: str, reference: str) -> bool:
    return instruction.sender == name and reference in instruction.text


def summarize_gaps(plan: Plan, dataset: Dataset) -> tuple[str, ...]:
    """Returns one line per family of a plan with gaps: the number of its scenarios, and the first gap.

    Protocols other than ``muses`` write parts of the prompts themselves; their briefings are not checked.
    """
    lines = []
    for family in dict.fromkeys(cell.family for cell in plan.cells if plan.protocol.name == "muses"):
        scenarios = dataset.scenarios(family)
        gaps = [found[0] for scenario in scenarios if (found := briefing_gaps(scenario))]
        if gaps:
            count = f"{len(gaps)} of {len(scenarios)} scenarios of {family} are incomplete"
            lines.append(f"{count}, which lowers the scores of every model: {gaps[0]} (muses data validate lists all)")
    return tuple(lines)
