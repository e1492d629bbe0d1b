"""Metrics of several objects of one kind (accounts, budgets, replicas), distinguished by a tag with their names."""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
GaugeDefinitions = Mapping[str, tuple[str, Callable[[T], float | None]]]
"""Name of the metric -> its description, and the function that reads its value from an object; None is shown as -1."""


class Gauge(Protocol):
    """A gauge with tags, such as Ray's."""

    def set(self, value: float, tags: dict[str, str]) -> object: ...


class Gauges(Generic[T]):
    """The gauges of one kind of object.

    Args:
        make: makes a gauge from its name, description and tags.
        definitions: the gauges of an object.
        tag: name of the tag that has the object's name as its value.
    """

    def __init__(
        self, make: Callable[[str, str, tuple[str, ...]], Gauge], definitions: GaugeDefinitions[T], tag: str
    ) -> None:
        self._definitions, self._tag = definitions, tag
        self._gauges = {name: make(name, text, (tag,)) for name, (text, _) in definitions.items()}

    def show(self, name: str, measured: T) -> None:
        """Sets all gauges of the object with this name."""
        for metric, (_, read) in self._definitions.items():
            value = read(measured)
            self._gauges[metric].set(-1.0 if value is None else value, {self._tag: name})
