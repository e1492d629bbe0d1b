"""A page before it is rendered, the request for it, and the links and path segments that pages use."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for a page, from a browser or from the export."""

    path_params: Mapping[str, str]
    """Parameters in the path: name -> value."""
    query_params: Mapping[str, str] = field(default_factory=dict)
    """Query parameters of the URL; empty in an export, so a page must work without them."""
    form: Mapping[str, str] | None = None
    """Fields of the form that the request posts; None for a request that only reads."""
    live: bool = True
    """True when a server shows the page; False in an export."""
    signed_in: bool = False
    """True when the server has a token and the visitor has signed in with it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A template and the plain values that it prints."""

    title: str
    template: str
    """Name of a file in ``templates/``."""
    values: Mapping[str, Any]
    run_id: str | None = None
    """The run that the page is about; the navigation links to the pages of that run."""
    is_done: bool = False
    """True when a posted form was carried out; the browser then reads the page anew, so reloading repeats nothing."""


class NoSuchPageError(Exception):
    """There is no such page, or the store lacks what it shows; the message names what was requested."""


def relative(target: str, path: str) -> str:
    """Returns the relative link from the page at *path* to *target*; both are paths from the root of the site."""
    address, hash_sign, fragment = target.partition("#")
    link = posixpath.relpath(address or ".", posixpath.dirname(path) or ".")
    return f"{quote(link)}{hash_sign}{fragment}"


def segment(name: str) -> str:
    """Returns *name* encoded as a path segment that every file system and bucket accepts.

    ASCII letters, digits, dots and dashes stay; every other byte of the UTF-8 text, and a leading dot, becomes ``_``
    and two hex digits.  :func:`unsegment` is the inverse.
    """
    kept = "".join(chr(b) if chr(b) in _KEPT else f"_{b:02x}" for b in name.encode("utf-8", "surrogatepass"))
    return f"_2e{kept[1:]}" if kept.startswith(".") else kept


def unsegment(part: str) -> str:
    """Returns the name that :func:`segment` encoded as *part*.

    Raises:
        NoSuchPageError: :func:`segment` never returns *part*.
    """
    head, *coded = part.split("_")
    try:
        data = head.encode("ascii") + b"".join(bytes.fromhex(c[:2]) + c[2:].encode("ascii") for c in coded)
        name = data.decode("utf-8", "surrogatepass")
    except ValueError:
        name = None
    if name is None or segment(name) != part:
        raise NoSuchPageError(f"there is no page named {part!r}")
    return name


_KEPT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
