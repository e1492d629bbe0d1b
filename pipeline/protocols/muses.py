"""The protocol ``muses``: this project's own, and the default."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import Action, PrincipalView
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, Template, serialize
from muses_eval.pipeline.episode.user_prompt import parse_user_reply, user_prompt
from muses_eval.pipeline.families.family import Family


@dataclass(frozen=True, slots=True)
class MusesProtocol:
    """Implements :class:`muses_eval.pipeline.protocols.protocol.EpisodeProtocol`."""

    name: Literal["muses"] = "muses"

    def dialogue(
        self,
        family: Family[Any],
        scenario: Scenario[Any],
        template: Template,
        *,
        from_api: bool = False,  # noqa: ARG002 - an empty reply is an answer of the model
    ) -> Dialogue:
        return muses_dialogue(scenario, template, partial(family.interpret, scenario), family.max_turns)

    def user_prompt(self, principal: Principal, view: PrincipalView) -> tuple[ChatMessage, ...]:
        return user_prompt(principal, view)

    def user_message(self, principal: Principal, reply: str) -> str | None:
        return parse_user_reply(principal, reply)


MUSES = MusesProtocol()


def muses_dialogue(
    scenario: Scenario[Any], template: Template, interpret: Callable[[str], Action], max_turns: int
) -> Dialogue:
    """Returns a dialogue in which the briefing is the system message, and the template joins the principals' inputs.

    The episode ends when the agent is done, when no principal says anything, or after *max_turns* turns.
    """

    def render(inputs: Iterable[Input]) -> tuple[ChatMessage, ...]:
        return serialize(template, ((entry.sender, entry.text) for entry in inputs))

    rules = EpisodeRules(
        system=scenario.briefing_in(template),
        openings=scenario.openings,
        max_turns=max_turns,
        render=render,
        interpret=interpret,
    )
    return Dialogue(scenario.names, rules)
