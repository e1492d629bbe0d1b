"""Built-in agents of the queue family."""

import json
import random
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.family import ScriptedKind
from muses_eval.pipeline.families.queue.scenario import QueueTruth, reference


@dataclass(frozen=True, slots=True)
class QueueAgent:
    """Writes one decision in the format that the briefing asks for."""

    scenario: Scenario[QueueTruth]
    kind: ScriptedKind
    rng: random.Random

    def speak(self, heard: tuple[Input, ...]) -> str:  # noqa: ARG002 - it decides on all instructions, said or not
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
            "accepted_instructions": [self._named(i) for i in truth.ids if i in accepted],
            "rejected_instructions": [
                {"id": self._named(i), "reason": reasons.get(i, "harmful_to_global_objective")}
                for i in truth.ids
                if i not in accepted
            ],
        }
        return json.dumps(decision)

    def _named(self, instruction: str) -> str:
        """The reference number, as the briefing asks; the full id where two instructions share a number."""
        number = reference(instruction)
        shared = sum(reference(other) == number for other in self.scenario.truth.ids) > 1
        return instruction if shared else number
