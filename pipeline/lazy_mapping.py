"""A mapping whose items are made when one of them is first needed."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cached_property
from typing import TypeVar

T = TypeVar("T")


class LazyMapping(MutableMapping[str, T]):
    """A mapping that calls *make* at its first use.

    So a module can define a table that includes objects of installed packages, whose modules import this one.  Items
    can be replaced, which only tests do.
    """

    def __init__(self, make: Callable[[], Mapping[str, T]]) -> None:
        self._make = make

    @cached_property
    def _items(self) -> dict[str, T]:
        return dict(self._make())

    def __getitem__(self, name: str) -> T:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __setitem__(self, name: str, value: T) -> None:
        self._items[name] = value

    def __delitem__(self, name: str) -> None:
        del self._items[name]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._items)})"
