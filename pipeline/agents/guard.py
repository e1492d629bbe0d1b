"""``guard``: what the facts say is enforced outside the model, which does not learn of it."""

from muses_eval.pipeline.agents.interface import Context, Llm, Turn, TurnReply
from muses_eval.pipeline.agents.resource_guard import ResourceGuard
from muses_eval.pipeline.agents.schedule_guard import ScheduleGuard
from muses_eval.pipeline.agents.told import Told, structured_facts


class Guard:
    """Passes on what the model writes, unless the facts forbid it.

    Resources are withheld from principals who may not read them, and an announced time until all required principals
    have agreed to it.  In an episode whose facts have neither, it is the model alone.
    """

    version = "1"
    facts = "structured"

    def __init__(self, context: Context, llm: Llm) -> None:
        facts = structured_facts(context)
        self._llm = llm
        self._checks = (
            ScheduleGuard(facts.required, context.log),
            ResourceGuard(context, facts),
        )

    async def turn(self, turn: Turn) -> str | TurnReply:
        return self.enforced(turn, (await self._llm.chat(turn.messages)).text)

    def enforced(self, turn: Turn, text: str) -> str | TurnReply:
        """Returns the reply of the model as it is, or without what the facts forbid.  Called once a turn."""
        replies = [check.enforced(turn, text) for check in self._checks]
        return next((reply for reply in replies if not isinstance(reply, str)), text)


class ToldGuard:
    """``told`` and ``guard`` together: the model learns the facts, and they are enforced."""

    version = "1"
    facts = "structured"

    def __init__(self, context: Context, llm: Llm) -> None:
        self._told, self._guard = Told(context, llm), Guard(context, llm)

    async def turn(self, turn: Turn) -> str | TurnReply:
        return self._guard.enforced(turn, await self._told.turn(turn))
