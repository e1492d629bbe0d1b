"""The values that an agent receives and returns; ``muses_eval.agents`` offers these names to users.

A Python agent is a class.  The pipeline creates one object per episode and calls it once per turn::

    class Concise:
        version = "1"

        def __init__(self, context: Context, llm: Llm, *, words: int = 80) -> None:
            self.llm, self.words = llm, words

        async def turn(self, turn: Turn) -> str:
            rule = {"role": "system", "content": f"Answer in at most {self.words} words."}
            return (await self.llm.chat([*turn.messages, rule])).text

Keyword arguments of the constructor are the ``options`` of the configuration.  ``turn`` may be an ordinary function; it
then runs in a thread, and ``llm.chat`` returns the completion itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from muses_eval.pipeline.agents.facts import Facts

ChatMessageDict = Mapping[str, Any]
"""A message in the format of OpenAI's chat completions: ``role``, ``content``, and for tools ``tool_calls`` and
``tool_call_id``."""


@dataclass(frozen=True, slots=True)
class PrincipalProfile:
    """A principal as an agent knows it."""

    name: str
    role: str
    authority: int
    """Authority from 1 (intern) to 10 (chief executive)."""
    persona: str


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """An address on loopback that speaks OpenAI's chat completions and calls the model of one episode."""

    base_url: str
    api_key: str
    """Key that names the episode."""
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One episode, as its agent sees it."""

    episode_id: str
    family: str
    principals: tuple[PrincipalProfile, ...]
    briefing: str
    """The shared context: the instructions that the model alone receives as its system message."""
    max_turns: int
    facts: Facts | None = None
    """Structured facts; None unless the configuration says ``facts: structured``."""
    endpoint: ModelEndpoint | None = None
    """Address for an agent that brings its own client; its calls are those of :class:`Llm`."""
    log: Callable[[str], None] = field(default=lambda _: None, repr=False, compare=False)
    """Adds a line to the trace of the episode."""


@dataclass(frozen=True, slots=True)
class TurnInput:
    """The message of one principal in one turn."""

    sender: str
    session: str
    """Private session in which the message was sent; a principal has one session per episode."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The input of an agent in one turn."""

    number: int
    """1-based."""
    turns_left: int
    """Number of turns that can follow this one."""
    inputs: tuple[TurnInput, ...]
    messages: tuple[ChatMessageDict, ...]
    """The prompt that the model alone would receive: briefing and conversation, including these inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnReply:
    """The reply of an agent in fields, instead of a text that is parsed like the reply of a model."""

    to: Mapping[str, str] = field(default_factory=dict)
    """Name of a principal -> text for this principal alone.  A name that no principal has is an error."""
    everyone: str = ""
    """Text for every principal, who may answer it."""
    shared: str = ""
    """Final report of access and meeting, which every principal sees.  It ends the conversation."""
    done: bool = False
    """True when the agent has finished its task.  A family of one turn ends with its reply in any case."""
    decision: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the family's own reply format, such as ``accepted_instructions`` or ``final_schedule``.  In meeting, a
    decision is the announcement and ends the conversation."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that the model requests."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class LlmReply:
    """The reply of the model to one call of an agent."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    prompt_tokens: int | None = None
    """None when the provider did not report it."""
    completion_tokens: int | None = None


class Llm(Protocol):
    """The model under test, which an agent calls.

    Its calls meet the limits, the budget, the cache and the retries of the run, and are recorded in the trace.
    """

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        ...

    def chat(
        self,
        messages: Sequence[ChatMessageDict],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        **sampling: Any,  # noqa: ANN401 - numbers, a text and an object
    ) -> Awaitable[LlmReply]:
        """Calls the model.  In an agent whose ``turn`` is an ordinary function, it returns the reply itself.

        Args:
            messages: the prompt.
            tools: definitions of tools in OpenAI's format.
            sampling: options that replace those of the configuration: ``temperature``, ``top_p``, ``max_tokens``,
                ``seed``, ``reasoning_effort``, ``extra_body``.

        Raises:
            LlmUnavailable: the model gave no reply.  The episode has no score then, whatever the agent does.
            TooManyCalls: the episode has used up the number of calls that the configuration allows.
        """
        ...


class LlmUnavailable(Exception):
    """Raised in an agent when its model gave no reply after all retries."""


class TooManyCalls(Exception):
    """Raised in an agent that calls its model more often than the configuration allows."""


class Agent(Protocol):
    """An agent in one episode."""

    def turn(self, turn: Turn) -> "Awaitable[str | TurnReply] | str | TurnReply":
        """Returns the reply of one turn.  A string is read as the reply of a model is."""
        ...
