"""A family that a separately installed package adds, with its columns, views and documentation.

The package names a :class:`FamilyPackage` in the group ``muses_eval.families`` of its entry points.  docs/new_family.md
describes a whole package.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from muses_eval.pipeline.families import BUILT_IN_FAMILIES
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.leaderboard_columns import Column
from muses_eval.pipeline.plugins import LoadedPlugins, PluginError, load_plugins

_OPTIONAL = ("evidence",)
"""Methods that a family may lack."""
_MEMBERS = tuple(name for name in vars(Family) if not name.startswith("_") and name not in _OPTIONAL)
_COUNTS = ("max_turns", "paper_size", "scorer_version")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPackage:
    """A family with what belongs to it elsewhere in the project."""

    family: Family[Any]
    columns: tuple[Column, ...] = ()
    """Columns of the leaderboard; each name begins with the name of the family and an underscore."""
    views: Mapping[str, str] = field(default_factory=dict)
    """SQL views: name -> the SELECT statement.  Each name begins with the name of the family and an underscore."""
    documentation: str = ""
    """Address of a page, or a sentence, which ``muses doctor`` shows."""


@cache
def installed_families() -> LoadedPlugins[FamilyPackage]:
    """Returns the families of installed packages; they are imported at the first call."""
    return load_plugins("muses_eval.families", checked_package, BUILT_IN_FAMILIES)


def checked_package(name: str, value: object) -> FamilyPackage:
    """Returns the object of an entry point.  Raises PluginError when it is not a family package of this name."""
    if not isinstance(value, FamilyPackage):
        raise PluginError(f"expected a FamilyPackage ({FamilyPackage.__module__}), got {_shown(value)}")
    family = value.family
    if isinstance(family, type):
        raise PluginError(f"its family is the class {family.__name__}; expected an object, as {family.__name__}()")
    if missing := [member for member in _MEMBERS if not hasattr(family, member)]:
        raise PluginError(f"{type(family).__name__} is not a Family: it lacks {', '.join(missing)}")
    if not (isinstance(family.metrics, tuple) and all(isinstance(metric, str) for metric in family.metrics)):
        raise PluginError("the metrics of its family are no tuple of names")
    for member in _COUNTS:
        count = getattr(family, member)
        if not isinstance(count, int) or count < 1:
            raise PluginError(f"the {member} of its family is {count!r}; expected an integer from 1 on")
    if value.family.name != name:
        raise PluginError(f"its family has the name {value.family.name!r}; the entry point needs the same name")
    for column in value.columns:
        _check_column(value, column)
    for view in value.views:
        _check_name(name, "view", view)
    return value


def _check_column(package: FamilyPackage, column: Column) -> None:
    family = package.family
    _check_name(family.name, "column", column.name)
    if column.name.endswith("_se"):
        raise PluginError(f"the column {column.name!r} ends in _se, which is the standard error of another column")
    if column.family != family.name or column.metric not in family.metrics:
        raise PluginError(
            f"the column {column.name!r} shows {column.metric!r} of {column.family!r}; "
            f"{family.name} has the metrics {', '.join(family.metrics)}"
        )
    if column.paper is not None:
        raise PluginError(f"the column {column.name!r} names a column of the paper, whose table has none of its family")


def _check_name(family: str, what: str, name: str) -> None:
    if not (_IDENTIFIER.fullmatch(name) and name.startswith(f"{family}_")):
        raise PluginError(
            f"the {what} {name!r} needs a name such as {family}_accuracy: the family, an underscore, and lower-case "
            "letters, digits and underscores"
        )


def _shown(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {type(value).__name__}"
