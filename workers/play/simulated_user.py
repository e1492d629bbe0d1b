"""A simulated user: a principal that a language model plays."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from muses_eval.pipeline.episode.interfaces import Agent, Observation, PrincipalView
from muses_eval.pipeline.episode.model_call import Call, Reply
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.workers.providers.api_error import CONTENT_FILTER, CONTEXT_OVERFLOW


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """One principal, played by a model in a conversation of its own; its calls have the role ``user``.

    A reply that is filtered, beyond the context or, for the protocol, of no use is a failure of the simulation: taken
    for silence, it would be scored as if the agent had satisfied every user.
    """

    protocol: EpisodeProtocol
    principal: Principal
    model: Agent
    note: Callable[[Call], None]
    """Receives the call of a failed reply, because it was made and paid for."""

    async def reply(self, view: PrincipalView) -> Reply:
        """Returns the principal's next message.  Raises ModelFailure when its model gives no usable reply."""
        answer = await self.model.reply(Observation(view.turn, (), self.protocol.user_prompt(self.principal, view)))
        call = None if answer.call is None else replace(answer.call, role="user")
        ending = "unknown" if call is None else call.finish_reason
        lost = ending in (CONTENT_FILTER, CONTEXT_OVERFLOW)
        said = None if lost else self.protocol.user_message(self.principal, answer.text)
        if said is None:
            if call is not None:
                self.note(call)
            raise ModelFailure(
                "server", f"the users' model gave {self.principal.name} no usable reply ({ending})", retryable=False
            )
        return Reply(said, call)
