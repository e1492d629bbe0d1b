"""The interface of a harness: an agent in Python, or a service, in one episode."""

from typing import Protocol

from muses_eval.pipeline.agents.interface import Turn, TurnReply


class AgentError(Exception):
    """The agent failed in a turn: an exception, a time-out of its own, or a reply of the wrong shape.

    The turn counts as an empty reply.  The text is stored with the trace.
    """


class Harness(Protocol):
    """One agent in one episode."""

    async def turn(self, turn: Turn) -> str | TurnReply:
        """Returns the reply of one turn.

        Raises:
            AgentError: the agent failed.
            ModelFailure: an outage, of the model or of the machine that hosts the agent, left it without a reply.
        """
        ...

    async def close(self) -> None:
        """Ends the episode for the agent.  Called once, after the last turn or a failure."""
        ...
