"""The dataset of a run: generated scenarios or files."""

import re
from dataclasses import dataclass
from typing import Annotated

from muses_eval.pipeline.config.section import STRICT, Integer
from muses_eval.pipeline.datasets.user_counts import MAX_USERS, MIN_USERS
from pydantic import BeforeValidator, Field, model_validator

_SIZE = re.compile("0*[1-9][0-9]{0,5}")
_SHOWN_CHARS = 60


def _size_from_number(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Scenarios that are generated (``size`` and ``seed``) or read from files (``path``).

    The short form is a string: ``generated:tiny``, ``generated:paper``, ``generated:500@7`` (500 per family, seed 7),
    or the path of a file or folder.
    """

    __pydantic_config__ = STRICT

    path: str | None = None
    size: Annotated[str, BeforeValidator(_size_from_number)] = "tiny"
    """``tiny``, ``paper`` or the number of scenarios per family."""
    seed: Integer = 0
    most_users: Annotated[Integer, Field(ge=MIN_USERS, le=MAX_USERS)] | None = None
    """Largest number of users of a generated scenario; None uses the paper's numbers (queue 20, the others 10)."""

    @model_validator(mode="after")
    def _known(self) -> "DatasetSpec":
        if self.size not in ("tiny", "paper") and not _SIZE.fullmatch(self.size):
            got = self.size if len(self.size) <= _SHOWN_CHARS else f"{self.size[:_SHOWN_CHARS]}..."
            raise ValueError(f"expected the size tiny, paper or a positive number up to 999999, got {got!r}")
        return self

    @property
    def name(self) -> str:
        if self.path is not None:
            return self.path
        users = "" if self.most_users is None else f" with up to {self.most_users} users"
        return f"generated:{self.size}@{self.seed}{users}"


def dataset_from_text(value: object) -> object:
    """Returns the section that a string stands for; any other value unchanged."""
    if not isinstance(value, str):
        return value
    if not value.startswith("generated:"):
        return {"path": value}
    size, _, seed = value.removeprefix("generated:").partition("@")
    return {"size": size, **({"seed": seed} if seed else {})}
