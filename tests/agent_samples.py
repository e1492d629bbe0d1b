"""An episode as its agent sees it, and a model that records the agent's calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from muses_eval.agents import Context, LlmReply, PrincipalProfile, TooManyCalls, Turn, TurnInput

MODEL = "vendor/some-model"
CONTEXT = Context(
    episode_id="e1",
    family="access",
    principals=(PrincipalProfile("Ana", "owner", 9, "curt"), PrincipalProfile("Bo", "guest", 1, "")),
    briefing="Serve Ana and Bo.",
    max_turns=3,
)
TURN = Turn(
    number=1,
    turns_left=2,
    inputs=(TurnInput("Ana", "s1", "hello"),),
    messages=({"role": "system", "content": "Serve Ana and Bo."}, {"role": "user", "content": "Ana says: hello"}),
)


class RecordingLlm:
    """A model that replies with the last message, or with the next of *replies*, and records its calls."""

    model = MODEL

    def __init__(self, *replies: LlmReply | Exception, max_calls: int = 1_000) -> None:
        self.replies, self.max_calls = list(replies), max_calls
        self.calls: list[dict[str, Any]] = []

    async def chat(
        self, messages: Sequence[Mapping[str, Any]], *, tools: Sequence[Mapping[str, Any]] = (), **sampling: Any
    ) -> LlmReply:
        if len(self.calls) >= self.max_calls:
            raise TooManyCalls(f"the episode has made {self.max_calls} calls")
        self.calls.append({"messages": list(messages), "tools": list(tools), **sampling})
        reply = self.replies.pop(0) if self.replies else LlmReply(messages[-1]["content"], (), "stop", 3, 4)
        if isinstance(reply, Exception):
            raise reply
        return reply
