"""Base class and types of all sections of a configuration: unknown keys are errors, values are frozen and checked."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from muses_eval.pipeline.hashing import canonical
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
"""Value of ``__pydantic_config__`` in a dataclass that pydantic validates."""
SEGMENT = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,148}[A-Za-z0-9_])?$"
"""Pattern of a path segment.  File names have at most 255 bytes, and some contain more than the id of a run."""


class Section(BaseModel):
    """Base class of the sections that exist only in a configuration."""

    model_config = STRICT


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")  # noqa: TRY004 - pydantic reports ValueErrors
    return value


def _canonical_text(value: Mapping[str, Any]) -> str:
    try:
        return canonical(value).decode()
    except TypeError as error:  # YAML has dates, sets and bytes
        raise ValueError(f"{error}; write it as a string, in quotes") from error


Integer = Annotated[int, BeforeValidator(_no_bool)]
"""An integer.  Booleans (yes, no, on and off in YAML) are errors, although they are integers in Python."""
Number = Annotated[float, BeforeValidator(_no_bool)]
if TYPE_CHECKING:
    JsonText = str
else:
    JsonText = Annotated[dict[str, Any], AfterValidator(_canonical_text), PlainSerializer(json.loads)]
"""Canonical JSON of an object.  A configuration has the object itself, and a manifest stores the object."""
