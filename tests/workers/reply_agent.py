"""A base class of models in tests that reply to whatever a harness sends as they reply to the observation."""

from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.workers.providers.chat_request import ChatRequest


class ReplyAgent:
    """A model in one episode."""

    async def reply(self, observation: Observation) -> Reply:
        raise NotImplementedError

    async def chat(self, observation: Observation, request: ChatRequest) -> Reply:
        return await self.reply(observation)
