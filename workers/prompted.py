"""Principals that a language model plays."""

from dataclasses import dataclass, replace

from pipeline.principals import Principal
from pipeline.protocol import Agent, Observation, Reply, View
from pipeline.users import spoken, user_prompt


@dataclass(frozen=True, slots=True)
class PromptedPrincipal:
    """One principal, played by a model of its own conversation; its calls are recorded as the users'."""

    principal: Principal
    model: Agent

    async def reply(self, view: View) -> Reply:
        answer = await self.model.reply(Observation(view.turn, (), user_prompt(self.principal, view)))
        call = None if answer.call is None else replace(answer.call, role="user")
        return Reply(spoken(self.principal, answer.text), call)
