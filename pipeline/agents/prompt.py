"""``prompt``: the model with a text before, after or instead of the briefing."""

from collections.abc import Sequence

from muses_eval.pipeline.agents.interface import ChatMessageDict, Context, Llm, Turn

PLACES = ("before", "after", "instead")


def with_system_text(
    messages: Sequence[ChatMessageDict], text: str, place: str = "before"
) -> tuple[ChatMessageDict, ...]:
    """Returns a prompt in which *text* stands before, after or instead of its first system message."""
    first = messages[0] if messages and messages[0]["role"] == "system" else None
    rest = messages if first is None else messages[1:]
    briefing = "" if first is None or place == "instead" else first["content"]
    parts = (briefing, text) if place == "after" else (text, briefing)
    return ({"role": "system", "content": "\n\n".join(filter(None, parts))}, *rest)


class Prompt:
    """Adds a text to the briefing in every call, or replaces the briefing by it."""

    version = "1"

    def __init__(self, context: Context, llm: Llm, *, text: str, place: str = "before") -> None:  # noqa: ARG002
        """*place*: where the text stands: ``before``, ``after`` or ``instead`` of the briefing."""
        if place not in PLACES:
            raise ValueError(f"place is {place!r}; expected {', '.join(PLACES)}")
        self._llm, self._text, self._place = llm, text, place

    async def turn(self, turn: Turn) -> str:
        return (await self._llm.chat(with_system_text(turn.messages, self._text, self._place))).text
