"""The dated table ``prices.toml``: default prices of models, and the dates on which their providers retire them."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated

from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.section import STRICT, Number
from muses_eval.pipeline.errors import DatasetError
from pydantic import Field, Strict, TypeAdapter, ValidationError

_FILE = "prices.toml"
_DATED = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_Date = Annotated[date, Strict()]


@dataclass(frozen=True, slots=True)
class Retirement:
    """The announced end of a model at its provider."""

    on: date
    """First day on which calls fail."""
    replacement: str | None
    """Model that the provider recommends instead; None when it names none."""


@dataclass(frozen=True, slots=True)
class TableEntry:
    """What the table knows of a model."""

    prices: Prices
    retirement: Retirement | None = None


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Well-known models at the address of their provider."""

    as_of: date
    sources: tuple[str, ...]
    entries: Mapping[tuple[str, str], TableEntry]
    """(provider, the provider's name of the model) -> entry."""

    def find(self, provider: str, model: str) -> TableEntry | None:
        """Returns the entry of a model, or None.  A name with a date falls back to the name without the date."""
        own = self.entries.get((provider, model))
        return own or self.entries.get((provider, _DATED.sub("", model)))


@cache
def default_prices() -> PriceTable:
    """Returns the table of this version."""
    return parse_price_table(files("muses_eval.pipeline").joinpath(_FILE).read_text(encoding="utf-8"))


def parse_price_table(text: str) -> PriceTable:
    """Reads the content of ``prices.toml``.

    Raises:
        DatasetError: the text is not TOML, or an entry is not valid; the error names the entry.
    """
    try:
        table = _TABLE.validate_python(_with_providers(tomllib.loads(text)))
    except tomllib.TOMLDecodeError as error:
        raise DatasetError(_FILE, f"expected TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])).removeprefix("providers.")
        raise DatasetError(_FILE, f"{first['msg']}, got {first['input']!r}"[:200], field=where) from error
    entries = {
        (provider, model): row.entry for provider, models in table.providers.items() for model, row in models.items()
    }
    return PriceTable(table.as_of, table.sources, entries)


@dataclass(frozen=True, slots=True)
class _Row:
    """One model as the file has it."""

    __pydantic_config__ = STRICT

    input: Annotated[Number, Field(ge=0)]
    output: Annotated[Number, Field(ge=0)]
    cached_input: Annotated[Number, Field(ge=0)] | None = None
    retires: _Date | None = None
    replacement: str | None = None

    def __post_init__(self) -> None:
        if self.retires is None and self.replacement is not None:
            raise ValueError("replacement is for a model that retires; add the date, or leave it out")

    @property
    def entry(self) -> TableEntry:
        retirement = None if self.retires is None else Retirement(self.retires, self.replacement)
        return TableEntry(Prices(self.input, self.output, self.cached_input), retirement)


@dataclass(frozen=True, slots=True)
class _Table:
    __pydantic_config__ = STRICT

    as_of: _Date
    sources: tuple[str, ...]
    providers: Mapping[str, Mapping[str, _Row]]


_TABLE = TypeAdapter(_Table)


def _with_providers(raw: Mapping[str, object]) -> Mapping[str, object]:
    """Returns the file's content with the tables of the providers under one key."""
    head = {name: value for name, value in raw.items() if name in {"as_of", "sources"}}
    return {**head, "providers": {name: value for name, value in raw.items() if name not in head}}
