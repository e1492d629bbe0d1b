"""Token prices of a model.  :mod:`muses_eval.pipeline.prices` has the default prices."""

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
    """Price of prompt tokens in the provider's prefix cache; None for the price of ``input``."""
