"""A page before it is HTML: what it is called, what it says, and how one gets from it to another."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Ask:
    """What a visitor asks of a page."""

    place: Mapping[str, str]
    """The names in its path."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameters of the page's address; empty in an export, so a page must work without them."""
    live: bool = True
    """Whether a server shows it; False: an export."""


@dataclass(frozen=True, slots=True)
class Page:
    """Plain values for a template."""

    title: str
    template: str
    """A file of ``templates/``."""
    values: Mapping[str, Any]
    run_id: str | None = None
    """The run that it is about; its pages are in the navigation."""


class NoSuchPageError(Exception):
    """The store has nothing to show here; the text says what was looked for."""


def relative(target: str, path: str) -> str:
    """The link from the page at *path* to *target*, both counted from the root of the site."""
    address, mark, fragment = target.partition("#")
    link = posixpath.relpath(address or ".", posixpath.dirname(path) or ".")
    return f"{quote(link)}{mark}{fragment}"


def segment(name: str) -> str:
    """*name* as one part of a path that any file system and any bucket takes; :func:`unsegment` undoes it.

    Letters, digits, dots and dashes stand for themselves; anything else becomes ``_`` and the hex of its bytes.
    """
    kept = "".join(chr(b) if chr(b) in _KEPT else f"_{b:02x}" for b in name.encode("utf-8", "surrogatepass"))
    return f"_2e{kept[1:]}" if kept.startswith(".") else kept


def unsegment(part: str) -> str:
    """The inverse of :func:`segment`.  Raises NoSuchPageError for what :func:`segment` does not write."""
    head, *coded = part.split("_")
    try:
        data = head.encode("ascii") + b"".join(bytes.fromhex(c[:2]) + c[2:].encode("ascii") for c in coded)
        name = data.decode("utf-8", "surrogatepass")
    except ValueError:
        name = None
    if name is None or segment(name) != part:
        raise NoSuchPageError(f"no page is called {part!r}")
    return name


_KEPT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
