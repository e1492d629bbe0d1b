"""Objects that separately installed packages add: families and providers.

A package names its objects in its metadata, as entry points::

    [project.entry-points."muses_eval.families"]
    ballot = "muses_ballot.family:PACKAGE"

Packages are found by their metadata, and a module is imported when an object of its group is first needed.  A package
that cannot be used takes nothing else down: its objects are left out with a warning, and a configuration that names one
is refused with the reason.
"""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Literal, TypeVar, get_args

T = TypeVar("T")

PluginGroup = Literal["muses_eval.families", "muses_eval.providers"]
"""Groups of entry points.  Those of agents are loaded in ``flows/agents``, as they are named in a configuration."""

_KINDS: Mapping[PluginGroup, str] = {
    "muses_eval.families": "family",
    "muses_eval.providers": "provider",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LOG = logging.getLogger(__name__)


class PluginError(Exception):
    """An object of an installed package cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of an installed package."""

    group: PluginGroup
    name: str
    target: str
    """``module:attribute``."""
    package: str
    """Name of the installed package, such as ``muses-ballot``."""
    version: str

    @property
    def label(self) -> str:
        """Package and version, for messages."""
        return f"{self.package} {self.version}"

    def load(self) -> object:
        """Imports the module and returns the object.  Raises PluginError."""
        try:
            return EntryPoint(self.name, self.target, self.group).load()
        except Exception as error:  # foreign code may raise anything
            raise PluginError(f"it cannot be loaded: {type(error).__name__}: {error}") from error

    def problem(self, reason: str) -> str:
        """Returns a message: which object cannot be used, why, and what to do."""
        kind = _KINDS[self.group]
        return (
            f"the {kind} {self.name!r} of the package {self.label} ({self.target}) is left out: {reason}; "
            "repair or uninstall the package"
        )


@dataclass(frozen=True, slots=True)
class LoadedPlugins(Generic[T]):
    """The objects of one group that can be used, and the problems of the others."""

    objects: Mapping[str, T]
    plugins: Mapping[str, Plugin]
    """The entry point of each object."""
    problems: Mapping[str, str]
    """Name -> message, for objects that cannot be used."""


def find_plugins(group: PluginGroup) -> tuple[Plugin, ...]:
    """Returns all entry points of a group, in the order of their names; nothing is imported."""
    found = {
        Plugin(group, one.name, one.value, one.dist.name, one.dist.version)
        for one in _entry_points()
        if one.group == group and one.dist is not None
    }
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package)))


def load_plugins(
    group: PluginGroup, check: Callable[[str, object], T], taken: Collection[str] = ()
) -> LoadedPlugins[T]:
    """Loads the objects of a group; each problem is logged as a warning.

    Args:
        group: the group of entry points.
        check: returns an object of this name with its type, or raises PluginError when it has another type.
        taken: names that no package can use.
    """
    objects: dict[str, T] = {}
    plugins: dict[str, Plugin] = {}
    problems: dict[str, str] = {}
    found = find_plugins(group)
    for plugin in found:
        others = [other.label for other in found if other.name == plugin.name and other != plugin]
        try:
            if plugin.name in taken:
                raise PluginError("the name is taken by one that is built in")
            if others:
                raise PluginError(f"the package {others[0]} has the same name")
            if not _NAME.fullmatch(plugin.name):
                raise PluginError("its name needs lower-case letters, digits and underscores, at most 40")
            objects[plugin.name] = check(plugin.name, plugin.load())
            plugins[plugin.name] = plugin
        except Exception as error:  # noqa: BLE001 - the properties of a foreign object may raise anything
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            problems[plugin.name] = plugin.problem(reason)
            _LOG.warning("%s", problems[plugin.name])
    return LoadedPlugins(objects, plugins, problems)


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """Reads the metadata of all installed packages, once for all groups because it takes tens of milliseconds."""
    found = entry_points()
    return tuple(one for group in get_args(PluginGroup) for one in found.select(group=group))
