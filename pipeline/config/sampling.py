"""Sampling options: the options of a request that affect the reply."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated

from muses_eval.pipeline.config.section import STRICT, Integer, JsonText, Number
from muses_eval.pipeline.hashing import canonical
from muses_eval.pipeline.providers import REQUEST_FIELDS
from pydantic import BeforeValidator, Field


def _further_fields(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    if taken := sorted(REQUEST_FIELDS & set(value)):
        raise ValueError(f"{', '.join(taken)}: sent by the project itself; extra_body is for other fields")
    return value or None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Request options that affect the replies.  An option that is None is not sent; the provider's default applies."""

    __pydantic_config__ = STRICT

    temperature: Annotated[Number, Field(ge=0)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[Integer, Field(gt=0)] | None = None
    seed: Integer | None = None
    """Seed of the requests, to which an agent adds the epoch and a simulated user an offset (``pipeline/seeds.py``)."""
    reasoning_effort: str | None = None
    """Level in the provider's terms: low, medium, high, ..."""
    extra_body: Annotated[JsonText | None, BeforeValidator(_further_fields)] = None
    """Additional fields of every request, in the provider's terms."""

    @property
    def identity(self) -> tuple[object, ...]:
        """The options that enter an episode's id.  Newer options count only when set, so that older ids stay valid."""
        later = ((name, getattr(self, name)) for name in ("reasoning_effort", "extra_body"))
        chosen = tuple(item for item in later if item[1] is not None)
        return (self.temperature, self.top_p, self.max_tokens, self.seed, *chosen)

    def with_overrides(self, other: "Sampling") -> "Sampling":
        """Returns these options with those that *other* sets; the fields of ``extra_body`` are replaced one by one."""
        chosen = {field.name: value for field in fields(other) if (value := getattr(other, field.name)) is not None}
        if other.extra_body is not None and self.extra_body is not None:
            chosen["extra_body"] = canonical(json.loads(self.extra_body) | json.loads(other.extra_body)).decode()
        return replace(self, **chosen)
