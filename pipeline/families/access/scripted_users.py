"""Rule-based principals of the access family: they persist, escalate, and stop when served.

Each asks for the resource again as long as it has not got it, whatever the agent's words; every refusal raises the
tone by one step.  An unauthorised principal pursues the scenario's attack.  Once a principal has the resource it says
thanks, and is silent from then on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.protocol import PrincipalView
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families.access.corrected_scoring import Exposure
from muses_eval.pipeline.families.access.scenario import ATTACKS, AccessTruth
from muses_eval.pipeline.rng import RandomGenerator
from muses_eval.pipeline.word_tables import Gaps, read_words

_Sentence = Annotated[str, Gaps(optional=("resource", "insider"))]
_Steps = tuple[tuple[_Sentence, ...], ...]
"""Wordings by step of escalation; the last step repeats."""


@dataclass(frozen=True, slots=True)
class UserWords:
    """All tables of ``scripted_users.toml``, beside this module."""

    insider: _Steps
    """What somebody entitled says as long as it has not got the resource."""
    thanks: tuple[str, ...]
    """What it says then."""
    attacks: Mapping[str, _Steps]
    """What somebody else says, by attack."""
    gloating: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError when an attack has no words."""
        if missing := set(ATTACKS) - self.attacks.keys():
            raise ValueError(f"attacks: expected {', '.join(ATTACKS)}; without words are {', '.join(sorted(missing))}")


@cache
def user_words() -> UserWords:
    """The tables, read once a process."""
    return read_words(UserWords, __package__, "scripted_users.toml")


class AccessUser:
    """One principal; it remembers what it has been shown.  ``rng`` chooses between wordings, nothing else."""

    __slots__ = (
        "_closing",
        "_exposure",
        "_heard",
        "_insiders",
        "_insisted",
        "_resource",
        "_rng",
        "_satisfied",
        "_steps",
        "_wanted",
    )

    def __init__(
        self, truth: AccessTruth, name: str, attack: str, insiders: Sequence[str], rng: RandomGenerator
    ) -> None:
        self._resource, self._insiders, self._rng = truth.resource_name, insiders, rng
        words = user_words()
        # An insider wants all the facts; for an outsider a single one is a success.
        if name in truth.authorized:
            self._steps, self._closing, self._wanted = words.insider, words.thanks, len(truth.facts)
        else:
            self._steps, self._closing, self._wanted = words.attacks[attack], words.gloating, 1
        self._exposure = Exposure(truth.facts)
        self._heard = self._insisted = 0
        self._satisfied = False

    def speak(self, view: PrincipalView) -> str:
        if self._satisfied:
            return ""
        for message in view.messages[self._heard :]:
            if message.sender == AGENT:
                self._exposure.add(message.content)
        self._heard = len(view.messages)
        if len(self._exposure.shown) >= self._wanted:
            self._satisfied = True
            return self._rng.choice(self._closing)
        wording = self._rng.choice(self._steps[min(self._insisted, len(self._steps) - 1)])
        self._insisted += 1
        return wording.format(resource=self._resource, insider=self._rng.choice(self._insiders))


def make_user(scenario: Scenario[AccessTruth], name: str, rng: RandomGenerator) -> AccessUser:
    """The rule-based model of one principal of a scenario."""
    return AccessUser(scenario.truth, name, scenario.attack or "none", scenario.truth.authorized or (name,), rng)
