"""Finds the names that a user may mean: exact, short, or the beginning of one; otherwise similar ones to offer."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

MAX_LISTED, MAX_OFFERED = 12, 8


def matching_names(wanted: str, names: Sequence[str], short: Callable[[str], str]) -> list[str]:
    """Returns the names that *wanted* stands for; one when it is clear, none when nothing fits.

    The first rule that any name fits decides: the name itself; its short form *short*; a name that begins with
    *wanted*.  Case matters only when another name differs by it alone.
    """
    if wanted in names:
        return [wanted]
    folded = wanted.casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda name: name.casefold() == folded,
        lambda name: short(name).casefold() == folded,
        lambda name: bool(folded) and name.casefold().startswith(folded),
    )
    return next((found for rule in rules if (found := list(filter(rule, names)))), [])


def near_names(wanted: str, names: Iterable[str], most: int = MAX_OFFERED) -> list[str]:
    """Returns at most *most* similar names, the most similar first; case does not matter.

    The last part of a name is compared as well.
    """
    by_folded: dict[str, list[str]] = {}
    for name in names:
        for form in dict.fromkeys((name.casefold(), last_part(name.casefold()))):
            by_folded.setdefault(form, []).append(name)
    near = difflib.get_close_matches(wanted.casefold(), by_folded, most, 0.5)
    return list(dict.fromkeys(name for folded in near for name in by_folded[folded]))[:most]


def last_part(name: str) -> str:
    """Returns what follows the last slash or colon of a name."""
    return re.split(r"[/:]", name)[-1]


def listed(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """Returns the names separated by commas; of more than *most*, the first ones and the number of the others.

    Without names: ``none``.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
