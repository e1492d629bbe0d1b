"""Figures of things of one kind (accounts, budgets, replicas), shown by gauges that tell the things apart by a tag."""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Figures = Mapping[str, tuple[str, Callable[[T], float | None]]]
"""Name of the metric -> what it means, and how it is read off a thing; None is shown as -1."""


class Gauge(Protocol):
    """What shows a number, as Ray's gauges do."""

    def set(self, value: float, tags: dict[str, str]) -> object: ...


class Gauges(Generic[T]):
    """The gauges of one kind of thing.

    Args:
        make: a gauge of this name, meaning and tags.
        figures: what is shown of a thing.
        tag: whose value is the thing's name.
    """

    def __init__(self, make: Callable[[str, str, tuple[str, ...]], Gauge], figures: Figures[T], tag: str) -> None:
        self._figures, self._tag = figures, tag
        self._gauges = {name: make(name, text, (tag,)) for name, (text, _) in figures.items()}

    def show(self, name: str, thing: T) -> None:
        """Sets all figures of the thing of this name."""
        for metric, (_, figure) in self._figures.items():
            value = figure(thing)
            self._gauges[metric].set(-1.0 if value is None else value, {self._tag: name})
