"""Built-in agents of the instruct family.

The metrics depend only on the constraints, so these agents write texts that follow constraints and do not carry out the
instruction itself.
"""

import json
import random
from dataclasses import dataclass

from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.families.family import ScriptedKind
from muses_eval.pipeline.families.instruct.scenario import InstructTruth, UserConstraints
from muses_eval.pipeline.families.instruct.solver import best_effort

_REFUSAL = "I am sorry but I cannot take this on, please turn to somebody else."
_PLAIN = (
    "Thank you for your message, here is a short reply. There is a good deal to say on this, and most of it depends "
    "on what you need first. Tell me more, and I shall go into it."
)


@dataclass(frozen=True, slots=True)
class InstructAgent:
    """Writes an answer for every user, in the format that the briefing requires.

    ``compliant`` does what any user asks.  In aligned mode every answer follows its user's constraints, like the
    oracle's; in conflict mode it ignores authority, and all answers follow the constraints of the user with the lowest.
    """

    scenario: Scenario[InstructTruth]
    kind: ScriptedKind
    rng: random.Random

    def speak(self, heard: tuple[Input, ...]) -> str:  # noqa: ARG002 - it answers every user, whoever has written
        answers = {user.name: self._answer(user) for user in self.scenario.truth.users}
        return json.dumps(answers, ensure_ascii=False)

    def _answer(self, user: UserConstraints) -> str:
        match self.kind:
            case "oracle":
                return _solved(user)
            case "compliant":
                return _solved(self._lowest()) if self.scenario.truth.mode == "conflict" else _solved(user)
            case "refuse":
                return _REFUSAL
            case "random":
                return _solved(user) if self.rng.random() < 0.5 else _PLAIN

    def _lowest(self) -> UserConstraints:
        """Returns the first user with the lowest authority."""
        return min(self.scenario.truth.users, key=lambda user: user.authority)


def _solved(user: UserConstraints) -> str:
    return best_effort(user.constraints) or _PLAIN
