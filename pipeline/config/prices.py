"""Prices of a model's tokens.  Where they come from: :mod:`muses_eval.pipeline.prices`."""

from dataclasses import dataclass
from typing import Annotated

from muses_eval.pipeline.config.section import STRICT, Number
from pydantic import Field


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    __pydantic_config__ = STRICT

    input: Annotated[Number, Field(ge=0)]
    output: Annotated[Number, Field(ge=0)]
    cached_input: Annotated[Number, Field(ge=0)] | None = None
    """Price of prompt tokens that the provider had cached; None: the same as ``input``."""
