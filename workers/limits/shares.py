"""Fair division: nobody gets more than he wants, and nobody gets less than another who wants as much."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def fair_shares(total: int, wants: Mapping[Key, int]) -> dict[Key, int]:
    """Divides *total* among those who want something.

    What one does not want goes to the others.  Where it does not come out even, the first ones get one more.
    """
    shares = dict.fromkeys(wants, 0)
    left, open_ = max(total, 0), [key for key, want in wants.items() if want > 0]
    while left and open_:
        each = max(left // len(open_), 1)
        for key in open_:
            given = min(each, wants[key] - shares[key], left)
            shares[key] += given
            left -= given
        open_ = [key for key in open_ if shares[key] < wants[key]]
    return shares


def shares_in_groups(
    total: int, wants: Mapping[Key, int], group_of: Mapping[Key, Hashable], order: Sequence[Key]
) -> dict[Key, int]:
    """Divides fairly between groups, then within each; *order* says who comes first where it does not come out even."""
    groups: dict[Hashable, dict[Key, int]] = {}
    for key in order:
        groups.setdefault(group_of[key], {})[key] = wants[key]
    by_group = fair_shares(total, {group: sum(members.values()) for group, members in groups.items()})
    shares: dict[Key, int] = {}
    for group, members in groups.items():
        shares |= fair_shares(by_group[group], members)
    return shares
