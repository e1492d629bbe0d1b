"""Weighted max-min fair shares: no share exceeds its demand, and equal weights with unmet demand get equal shares."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Group = TypeVar("Group", bound=Hashable)


def fair_shares(total: int, wants: Mapping[Key, int], weights: Mapping[Key, int] | None = None) -> dict[Key, int]:
    """Divides *total* among the keys in proportion to their weights; without weights, evenly.

    What one key does not want goes to the others.  A remainder goes to the first keys, one each.
    """
    weights = weights or dict.fromkeys(wants, 1)
    shares = dict.fromkeys(wants, 0)
    left, open_ = max(total, 0), [key for key, want in wants.items() if want > 0]
    while left and open_:
        whole, weighed = left, sum(weights[key] for key in open_)
        for key in open_:
            given = min(max(whole * weights[key] // weighed, 1), wants[key] - shares[key], left)
            shares[key] += given
            left -= given
        open_ = [key for key in open_ if shares[key] < wants[key]]
    return shares


def fair_shares_by_group(
    total: int,
    wants: Mapping[Key, int],
    group_of: Mapping[Key, Group],
    weights: Mapping[Group, int],
    order: Sequence[Key],
) -> dict[Key, int]:
    """Divides between groups by their weights, then evenly within each group.

    *order*: the keys in the order in which they get a remainder.
    """
    groups: dict[Group, dict[Key, int]] = {}
    for key in order:
        groups.setdefault(group_of[key], {})[key] = wants[key]
    by_group = fair_shares(total, {group: sum(members.values()) for group, members in groups.items()}, weights)
    shares: dict[Key, int] = {}
    for group, members in groups.items():
        shares |= fair_shares(by_group[group], members)
    return shares
