"""The protocol ``released``: that of the released evaluator (commit d14c759), to the letter.

What a family sends and how it reads a reply is in ``families/*/released.py``; this module has what the families share,
and the prompts of simulated users.

The released code also asks every user's model for a message before the greeting of a meeting, and for answers to the
last reply of an episode.  Nobody receives these texts, so they are not asked for here.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import Action, PrincipalView
from muses_eval.pipeline.episode.principal import AGENT, Principal
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, Template
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.families.access import released as access
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.families.instruct import released as instruct
from muses_eval.pipeline.families.meeting import released as meeting
from muses_eval.pipeline.families.queue import released as queue
from muses_eval.pipeline.protocols.released_texts import ReleasedTexts, fill

MAX_USER_PROMPT_CHARS = 10_000
"""Characters of a simulated user's prompt; older messages are left out beyond it."""
SILENT = ("", "...")
"""Replies of a simulated user that are silence."""


@dataclass(frozen=True, slots=True)
class ReleasedProtocol:
    """Implements :class:`muses_eval.pipeline.protocols.protocol.EpisodeProtocol`."""

    texts: ReleasedTexts
    name: Literal["released"] = "released"

    def dialogue(
        self, family: Family[Any], scenario: Scenario[Any], template: Template, *, from_api: bool = False
    ) -> Dialogue:
        """Returns the dialogue of an episode in its initial state.

        *from_api*: an empty reply of the agent ends the episode, as in the released code, which takes it for a failed
        call then.

        Raises:
            MusesError: the released evaluator does not have the family, or plays the scenario in another serialisation.
        """
        if template != scenario.template:
            raise MusesError(f"{scenario.id}: protocol released has no template {template}, only {scenario.template}")
        rules = self._rules(family, scenario)
        return Dialogue(scenario.names, _ending_at_empty_replies(rules) if from_api else rules)

    def _rules(self, family: Family[Any], scenario: Scenario[Any]) -> EpisodeRules:
        prompt, texts, interpret = scenario.row_prompt, self.texts, partial(family.interpret, scenario)
        if prompt is not None:
            match family.name:
                case "queue":
                    return queue.released_rules(prompt, interpret)
                case "instruct":
                    system = fill(texts.instruct_system, {"base_prompt": prompt.system})
                    return instruct.released_rules(prompt, system, interpret)
                case "access":
                    return access.released_rules(prompt, scenario.names, texts.access_goal_check, interpret)
                case "meeting":
                    return meeting.released_rules(prompt, scenario.names, texts.meeting_greeting, interpret)
        raise MusesError(f"protocol: released has no family {family.name}; leave it out, or choose protocol: muses")

    def user_prompt(self, principal: Principal, view: PrincipalView) -> tuple[ChatMessage, ...]:
        texts = self.texts
        values = {
            "user_id": principal.name,
            "role": principal.role,
            "goal": principal.private_context,
            "background": principal.background,
        }
        identity = texts.user_identity
        if not principal.background:
            identity = "\n".join(line for line in identity.split("\n") if "{background}" not in line)
        parts = (texts.user_instructions, identity, texts.user_behaviour)
        system = ChatMessage("system", "\n\n".join(fill(part, values) for part in parts))
        memory = [
            ChatMessage("user" if message.sender == AGENT else "assistant", message.content)
            for message in view.messages
            if message.content
        ]
        return (system, *_newest(memory, MAX_USER_PROMPT_CHARS - len(system.content)))

    def user_message(self, principal: Principal, reply: str) -> str:  # noqa: ARG002 - the reply counts as it is
        return "" if reply in SILENT else reply


def _ending_at_empty_replies(rules: EpisodeRules) -> EpisodeRules:
    def interpret(reply: str) -> Action:
        return rules.interpret(reply) if reply else Action(final=True, readable=False)

    return replace(rules, interpret=interpret)


def _newest(messages: list[ChatMessage], chars: int) -> list[ChatMessage]:
    """Returns the last messages that have at most so many characters together."""
    start = len(messages)
    while start and len(messages[start - 1].content) <= chars:
        start -= 1
        chars -= len(messages[start].content)
    return messages[start:]
