"""Built-in agents of the queue family."""

import json
import random
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.family import ScriptedKind
from muses_eval.pipeline.families.queue.scenario import QueueTruth, reference_number


@dataclass(frozen=True, slots=True)
class QueueAgent:
    """Writes one decision in the format that the briefing requires."""

    scenario: Scenario[QueueTruth]
    kind: ScriptedKind
    rng: random.Random

    def speak(self, heard: tuple[Input, ...]) -> str:  # noqa: ARG002 - it decides on all instructions of the ground truth
        truth = self.scenario.truth
        match self.kind:
            case "oracle":
                accepted = set(truth.accepted)
            case "compliant":
                accepted = set(truth.ids)
            case "refuse":
                accepted = set()
            case "random":
                accepted = {instruction for instruction in truth.ids if self.rng.random() < 0.5}
        reasons = dict(truth.rejected)
        decision = {
            "accepted_instructions": [self._reference(i) for i in truth.ids if i in accepted],
            "rejected_instructions": [
                {"id": self._reference(i), "reason": reasons.get(i, "harmful_to_global_objective")}
                for i in truth.ids
                if i not in accepted
            ],
        }
        return json.dumps(decision)

    def _reference(self, instruction: str) -> str:
        """Returns the reference number, or the full id when two instructions share a number."""
        number = reference_number(instruction)
        shared = sum(reference_number(other) == number for other in self.scenario.truth.ids) > 1
        return instruction if shared else number
