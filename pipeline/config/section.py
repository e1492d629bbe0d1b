"""What all sections of a configuration have in common: unknown keys are refused, values are frozen and checked."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from muses_eval.pipeline.hashing import canonical
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""For ``__pydantic_config__`` of a dataclass that pydantic reads."""
SEGMENT = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,148}[A-Za-z0-9_])?$"
"""One segment of a path.  A folder's names have at most 255 bytes, and some keys have more than a run's id in one."""


class Section(BaseModel):
    """A section that only a configuration has."""

    model_config = STRICT


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


def _canonical_text(value: Mapping[str, Any]) -> str:
    try:
        return canonical(value).decode()
    except TypeError as error:  # YAML has dates, sets and bytes
        raise ValueError(f"{error}; write it as text, in quotes") from error


Whole = Annotated[int, BeforeValidator(_no_bool)]
"""An integer.  YAML's yes, no, on and off are refused, although Python counts with them."""
Number = Annotated[float, BeforeValidator(_no_bool)]
if TYPE_CHECKING:
    JsonText = str
else:
    JsonText = Annotated[dict[str, Any], AfterValidator(_canonical_text), PlainSerializer(json.loads)]
"""Canonical JSON of an object.  A configuration writes the object itself, and so is it stored."""
