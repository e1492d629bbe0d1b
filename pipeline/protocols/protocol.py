"""The interface of a protocol: it makes the dialogue of an episode and the prompts of simulated users."""

from typing import Any, Protocol

from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, Template
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.protocols import ProtocolName


class EpisodeProtocol(Protocol):
    """How an episode proceeds.  It holds texts at most, and travels to the workers with every shard."""

    @property
    def name(self) -> ProtocolName: ...

    def dialogue(
        self, family: Family[Any], scenario: Scenario[Any], template: Template, *, from_api: bool = False
    ) -> Dialogue:
        """Returns the dialogue of an episode in its initial state.

        *from_api*: True when the agent's replies come through an API, so that an empty one may be a failed call.
        """
        ...

    def user_prompt(self, principal: Principal, view: PrincipalView) -> tuple[ChatMessage, ...]:
        """Returns the prompt of the model that plays *principal*."""
        ...

    def user_message(self, principal: Principal, reply: str) -> str | None:
        """Returns the principal's message from the reply of its model, which may be empty for silence.

        None when the reply cannot be used, which fails the episode: taken for silence, it would be scored as if the
        agent had satisfied the principal.
        """
        ...
