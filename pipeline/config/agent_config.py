"""The section of an agent in a configuration."""

import re
from typing import Annotated, Literal

from muses_eval.pipeline.agents.agent_spec import FACTS_LEVELS, MAX_CALLS, TURN_TIMEOUT_S, FactsLevel
from muses_eval.pipeline.config.endpoint import address_problem
from muses_eval.pipeline.config.section import Integer, JsonText, Number, Section
from pydantic import BeforeValidator, Field, model_validator

Place = Literal["before", "after", "instead"]
"""Place of the text of a ``prompt`` agent in relation to the briefing."""

AgentForm = Literal["chat", "prompt", "file", "module", "service", "installed"]
"""``file``: a class in a file of Python.  ``module``: a class in a module that can be imported.  ``installed``: the
name of an agent that a package declares."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")
_FILE = re.compile(r"(?P<module>.+\.py):(?P<name>[^\W\d]\w*)")
_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")
_FORMS = (
    "expected chat, prompt, folder/file.py:Class, package.module:Class, the name of an installed agent, or the address "
    "of a service (http://...)"
)


def _facts(value: object) -> object:
    if isinstance(value, str) and value not in FACTS_LEVELS:
        raise ValueError(f"no facts level {value!r}; there are {', '.join(FACTS_LEVELS)}")
    return value


class AgentConfig(Section):
    """One agent: ``chat``, ``prompt``, the name of an installed agent, a class in Python, or the address of a service.

    A class is written ``folder/file.py:Class``, relative to the working directory as datasets are, or
    ``package.module:Class``.
    """

    agent: str
    name: str | None = None
    """Name in tables; None derives it from ``agent``."""
    system: str | None = None
    """Path of the text of a ``prompt`` agent."""
    place: Place = "before"
    options: JsonText | None = None
    """Options of the agent: keyword arguments of its constructor, or a field of the requests to its service."""
    facts: Annotated[FactsLevel | None, BeforeValidator(_facts)] = None
    """Facts that the agent receives; None for what the agent declares, or ``prose``."""
    turn_timeout_s: Number = Field(TURN_TIMEOUT_S, gt=0)
    max_calls: Integer = Field(MAX_CALLS, gt=0)
    """Maximum number of model calls in one episode."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"agent": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> "AgentConfig":
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name is {self.name!r}; expected at most 60 letters, digits, dots, dashes, underscores and plus signs"
            )
        if self.form == "service" and address_problem(self.agent):
            raise ValueError(
                "agent is no address of a service, such as http://127.0.0.1:9000/turn: a host and a path, without a "
                "user, a query or a fragment (it is not shown here, because it may contain a secret)"
            )
        if self.form == "installed" and not _NAME.fullmatch(self.agent):
            forgotten = " (the class is missing)" if self.agent.endswith(".py") else ""
            raise ValueError(f"agent is {self.agent!r}{forgotten}; {_FORMS}")
        if (self.agent == "chat") != (self.entry == "chat"):
            raise ValueError("the name chat is that of the model alone; give the agent another `name`")
        if self.agent == "chat" and (extra := self._changed - {"agent", "name"}):
            raise ValueError(f"chat is the model alone and has no options: leave out {', '.join(sorted(extra))}")
        if not _NAME.fullmatch(self.entry):
            raise ValueError(
                f"agent {self.agent!r} needs a `name`, which tables show: "
                f'write {{agent: "{self.agent}", name: ...}} under `agents` of a configuration'
            )
        return self

    @model_validator(mode="after")
    def _has_the_fields_of_its_form(self) -> "AgentConfig":
        if self.agent == "prompt":
            if self.system is None:
                raise ValueError("`agent: prompt` needs `system`, the path of its text")
            if self.options is not None:
                raise ValueError("`agent: prompt` has no options; it has `system` and `place`")
        elif self.system is not None:
            raise ValueError("`system`, the path of a text, belongs to `agent: prompt`, and only to it")
        elif self.place != "before":
            raise ValueError("`place` belongs to `agent: prompt`, and only to it")
        return self

    @property
    def _changed(self) -> set[str]:
        """Names of the fields that differ from their defaults."""
        return {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}

    @property
    def form(self) -> AgentForm:
        if self.agent in ("chat", "prompt"):
            return "chat" if self.agent == "chat" else "prompt"
        if self.agent.startswith(("http://", "https://")):
            return "service"
        if _FILE.fullmatch(self.agent):
            return "file"
        return "module" if _MODULE.fullmatch(self.agent) else "installed"

    @property
    def target(self) -> tuple[str, str]:
        """File or module of a class, and its name; only for the forms ``file`` and ``module``."""
        place, _, name = self.agent.rpartition(":")
        return place, name

    @property
    def entry(self) -> str:
        """Name in tables."""
        derived = {"service": "", "file": self.target[1], "module": self.target[1]}
        return self.name or derived.get(self.form, self.agent)
