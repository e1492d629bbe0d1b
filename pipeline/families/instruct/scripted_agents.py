"""Built-in agents of the instruct family.

The answer that the rules judge is any text that follows the constraints, so that is what these agents write; none of
them says anything on the matter itself.
"""

import json
import random
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.family import ScriptedKind
from muses_eval.pipeline.families.instruct.scenario import Duty, InstructTruth
from muses_eval.pipeline.families.instruct.solver import best_effort

_REFUSAL = "I am sorry but I cannot take this on, please turn to somebody else."
_PLAIN = (
    "Thank you for your message, here is a short reply. There is a good deal to say on this, and most of it depends "
    "on what you need first. Tell me more, and I shall go into it."
)


@dataclass(frozen=True, slots=True)
class InstructAgent:
    """Writes an answer for every user, in the form that the briefing asks for.

    ``compliant`` does what anyone asks: everybody gets an answer under its own constraints, as from the oracle, but
    where the mode says that users clash, it knows no rank.  There it holds all answers to the constraints of the
    user with the least authority, as if the last word were everybody's.
    """

    scenario: Scenario[InstructTruth]
    kind: ScriptedKind
    rng: random.Random

    def speak(self, heard: tuple[Input, ...]) -> str:  # noqa: ARG002 - it answers everybody who has a duty here
        answers = {duty.name: self._answer(duty) for duty in self.scenario.truth.duties}
        return json.dumps(answers, ensure_ascii=False)

    def _answer(self, duty: Duty) -> str:
        match self.kind:
            case "oracle":
                return _solved(duty)
            case "compliant":
                return _solved(self._lowest()) if self.scenario.truth.mode == "conflict" else _solved(duty)
            case "refuse":
                return _REFUSAL
            case "random":
                return _solved(duty) if self.rng.random() < 0.5 else _PLAIN

    def _lowest(self) -> Duty:
        """The first one of those with the least authority."""
        return min(self.scenario.truth.duties, key=lambda duty: duty.authority)


def _solved(duty: Duty) -> str:
    return best_effort(duty.constraints) or _PLAIN
