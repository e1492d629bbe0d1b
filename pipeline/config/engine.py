"""The vLLM servers that are started for a model ``vllm:<model>``."""

from dataclasses import dataclass
from typing import Annotated

from muses_eval.pipeline.config.section import STRICT, Integer, JsonText
from pydantic import BeforeValidator, Field, field_validator


def _replica_range(value: object) -> object:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """The vLLM servers of one model."""

    __pydantic_config__ = STRICT

    replicas: Annotated[tuple[Integer, Integer], BeforeValidator(_replica_range)] = (1, 1)
    """Minimum and maximum, or one number for both; load decides how many run."""
    tensor_parallel: Annotated[Integer, Field(gt=0)] = 1
    """GPUs per replica."""
    args: JsonText = "{}"
    """Arguments of vLLM, such as ``{"max_model_len": 8192}``."""
    python: str | None = None
    """Path of the Python interpreter with vLLM; None for the interpreter of the worker."""

    @field_validator("replicas")
    @classmethod
    def _ascending(cls, value: tuple[int, int]) -> tuple[int, int]:
        least, most = value
        if not 1 <= least <= most:
            raise ValueError(f"expected a number of at least 1, or [minimum, maximum], got {list(value)}")
        return value
