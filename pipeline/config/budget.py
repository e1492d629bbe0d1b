"""The budget of a run in USD or tokens."""

from dataclasses import dataclass
from typing import Annotated

from muses_eval.pipeline.config.section import STRICT, Integer, Number
from pydantic import Field, model_validator


@dataclass(frozen=True, slots=True)
class Budget:
    """Caps on what a run may use over all of its starts.  None means no cap."""

    __pydantic_config__ = STRICT

    usd: Annotated[Number, Field(gt=0)] | None = None
    tokens: Annotated[Integer, Field(gt=0)] | None = None
    """Prompt and completion tokens of agents and users together."""

    def __str__(self) -> str:
        usd = [] if self.usd is None else [f"${self.usd:g}"]
        tokens = [] if self.tokens is None else [f"{self.tokens} tokens"]
        return " and ".join((*usd, *tokens))

    @model_validator(mode="after")
    def _names_one(self) -> "Budget":
        if self.usd is None and self.tokens is None:
            raise ValueError("names no cap; write usd, tokens or both")
        return self
