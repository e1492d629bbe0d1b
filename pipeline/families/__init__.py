"""The families: four of the benchmark, in the order of the leaderboard's columns, and those of installed packages."""

from collections.abc import Mapping
from typing import Any

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.access.family import AccessFamily
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.families.instruct.family import InstructFamily
from muses_eval.pipeline.families.meeting.family import MeetingFamily
from muses_eval.pipeline.families.queue.family import QueueFamily
from muses_eval.pipeline.lazy_mapping import LazyMapping

_ALL: tuple[Family[Any], ...] = (QueueFamily(), InstructFamily(), AccessFamily(), MeetingFamily())
BUILT_IN_FAMILIES: Mapping[str, Family[Any]] = {family.name: family for family in _ALL}
"""The families of the benchmark: all that is played when a configuration names no families, on every machine."""


def _all_families() -> Mapping[str, Family[Any]]:
    from muses_eval.pipeline.families.family_package import installed_families

    added = installed_families().objects
    return {**BUILT_IN_FAMILIES, **{name: package.family for name, package in added.items()}}


FAMILIES: Mapping[str, Family[Any]] = LazyMapping(_all_families)
"""The families of the benchmark and of installed packages (:mod:`muses_eval.pipeline.families.family_package`), which
are imported at the first use."""


def find_family(name: str) -> Family[Any]:
    """Returns a family.  Raises ConfigError when it is neither built in nor installed."""
    if name not in FAMILIES:
        raise ConfigError(unknown_family(name))
    return FAMILIES[name]


def unknown_family(name: str) -> str:
    """Returns the message for a name that is no family: which there are, and why an installed one is not among them."""
    from muses_eval.pipeline.families.family_package import installed_families

    problem = installed_families().problems.get(name)
    reason = "" if problem is None else f"; {problem}"
    return f"no family {name!r}; there are {', '.join(FAMILIES)}{reason}"
