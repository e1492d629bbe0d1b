"""Prices of a model's tokens.  Where they come from: :mod:`pipeline.prices`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline.config.section import STRICT, Number


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    __pydantic_config__ = STRICT

    input: Annotated[Number, Field(ge=0)]
    output: Annotated[Number, Field(ge=0)]
    cached_input: Annotated[Number, Field(ge=0)] | None = None
    """Price of prompt tokens that the provider had cached; None: the same as ``input``."""
