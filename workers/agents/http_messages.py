"""The messages of an agent that is a service: one request and one response per turn, as JSON.

These classes are the only definition of the format: requests are written from them, responses are read with them, and
``muses_eval.workers.agents.http_api`` derives the OpenAPI document from them.
"""

import json
from dataclasses import asdict
from typing import Any

from muses_eval.pipeline.agents.interface import Context, Turn, TurnReply
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import from_json

_SHOWN_PROBLEMS = 3
_SHOWN_CHARS = 200


class _Message(BaseModel):
    """Base class of the parts of a request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Principal(_Message):
    """A person whom the agent serves."""

    name: str
    role: str
    authority: int
    """Authority from 1 (intern) to 10 (chief executive)."""
    persona: str


class SessionInput(_Message):
    """The message of one principal in this turn."""

    sender: str
    session: str
    """Private session in which the message was sent; a principal has one session per episode."""
    text: str


class ResourceFacts(_Message):
    """A confidential resource that the agent keeps."""

    name: str
    content: str
    """Text of the resource; empty when the briefing does not contain it."""
    owners: list[str]
    """Names of the principals to whom it belongs; empty when the scenario names none."""
    readers: list[str]
    """Names of the principals who may receive it."""


class Rule(_Message):
    """One of the rules by which instructions of several principals are decided."""

    name: str
    """Identifier of the rule."""
    text: str
    """The rule as a sentence."""


class ScenarioFacts(_Message):
    """Facts of the scenario, for agents with `facts: structured`.  A list is empty when the briefing says nothing."""

    resources: list[ResourceFacts]
    precedence: list[Rule]
    """The rules in the order in which they apply: the first one that fits decides."""
    required: list[str]
    """Names of the principals without whom the task cannot be done."""


class LlmAccess(_Message):
    """Address of the model under test, as OpenAI's chat completions, for this episode only."""

    base_url: str
    """Address on the loopback interface of the machine that plays the episode."""
    api_key: str
    """Key that names the episode."""
    model: str


class TurnRequest(_Message):
    """One turn of one episode."""

    episode_id: str
    """Id under which a service may keep the state of the episode.  Turn 1 begins the episode anew."""
    family: str
    model: str
    """Name of the model under test, as on the leaderboard."""
    agent: str
    """Name of the agent, as on the leaderboard."""
    options: dict[str, JsonValue]
    """Options of the agent from the configuration."""
    turn: int
    """1-based."""
    turns_left: int
    """Number of turns that can follow this one."""
    principals: list[Principal]
    briefing: str
    """The instructions that the model alone would receive as its system message."""
    inputs: list[SessionInput]
    messages: list[dict[str, JsonValue]]
    """The prompt that the model alone would receive, in OpenAI's format: briefing and conversation."""
    facts: ScenarioFacts | None
    llm: LlmAccess | None


class _Response(BaseModel):
    """Base class of responses; unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    log: list[str] = Field(default_factory=list)
    """Lines for the trace of the episode."""


class TextResponse(_Response):
    """A reply as text, which is read like the reply of a model."""

    text: str


class FieldsResponse(_Response):
    """A reply in fields, instead of a text."""

    to: dict[str, str] = Field(default_factory=dict)
    """Name of a principal -> text for this principal alone."""
    everyone: str = ""
    """Text for every principal, who may answer it."""
    shared: str = ""
    """Text for the shared context: the final report of access and meeting."""
    done: bool = False
    """True when the agent has finished its task."""
    decision: dict[str, JsonValue] = Field(default_factory=dict)
    """Fields of the family's own reply format, such as `accepted_instructions` or `final_schedule`."""

    @property
    def reply(self) -> TurnReply:
        return TurnReply(to=self.to, everyone=self.everyone, shared=self.shared, done=self.done, decision=self.decision)


class WrongResponse(Exception):
    """Raised for a body that is no response of an agent; the text names what came and what was expected."""


def turn_request(context: Context, turn: Turn, *, model: str, agent: str, options: str) -> TurnRequest:
    """Returns the request of one turn.

    Args:
        context: the episode.
        turn: its turn.
        model: name of the model under test.
        agent: name of the agent.
        options: options of the agent as canonical JSON of an object.
    """
    fields: dict[str, Any] = {
        "episode_id": context.episode_id,
        "family": context.family,
        "model": model,
        "agent": agent,
        "options": json.loads(options),
        "turn": turn.number,
        "turns_left": turn.turns_left,
        "principals": [asdict(profile) for profile in context.principals],
        "briefing": context.briefing,
        "inputs": [asdict(each) for each in turn.inputs],
        "messages": [dict(message) for message in turn.messages],
        "facts": None if context.facts is None else asdict(context.facts),
        "llm": None if context.endpoint is None else asdict(context.endpoint),
    }
    return TurnRequest.model_validate(fields)


def read_response(body: bytes) -> TextResponse | FieldsResponse:
    """Reads the body of a response.  Raises WrongResponse."""
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise WrongResponse(f"expected JSON, got {_excerpt(body)} ({error})") from None
    if not isinstance(document, dict):
        raise WrongResponse(f"expected a JSON object, got {_excerpt(body)}")
    kind = TextResponse if "text" in document else FieldsResponse
    if document.keys() <= {"log"}:
        raise WrongResponse(f"expected `text`, or a field of {_names(FieldsResponse)}; got {_excerpt(body)}")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = [_problem(each["loc"], each["msg"]) for each in error.errors(include_url=False)]
        more = f", and {len(problems) - _SHOWN_PROBLEMS} more" if len(problems) > _SHOWN_PROBLEMS else ""
        shown = "; ".join(problems[:_SHOWN_PROBLEMS])
        raise WrongResponse(f"{shown}{more}; a reply with {_names(kind)} was expected") from None


def _problem(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))[:_SHOWN_CHARS]}: {message}"


def _names(kind: type[_Response]) -> str:
    return ", ".join(sorted(kind.model_fields))


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: 4 * _SHOWN_CHARS].decode(errors="replace").split())[:_SHOWN_CHARS]
    if text.startswith("<"):
        return "an HTML page"
    return repr(text) if text else "an empty body"
