"""Where a request comes from: the host that it names, and the site that made the browser send it.

A foreign web page can make the browser of a visitor send requests to this server.  Two checks keep it from using them:

* the name in ``Host`` is one of the server's own.  With DNS rebinding, a foreign site lets its own name point to this
  server, and could then read the answers;
* a request that changes something or runs a query comes from a page of this server.

Browsers set ``Sec-Fetch-Site`` on loopback and https, and ``Origin`` on every POST; no page can change either.
"""

import re
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+?)\.?(?::[0-9]{1,5})?")
_OWN_PAGE = frozenset({"same-origin", "none"})
"""Values of ``Sec-Fetch-Site`` for requests of own pages and of the visitor, such as a typed address."""
SAFE_METHODS = frozenset({"GET", "HEAD"})


def host_name(header: str) -> str | None:
    """Returns the name or address in a ``Host`` header in lower case, without its port; None for a malformed one."""
    match = _HOST.fullmatch(header)
    return match[1].strip("[]").lower() if match else None


def is_own_host(name: str, own_names: Collection[str]) -> bool:
    """Returns True for addresses, names of loopback, and *own_names*.

    An address is safe: a page of a foreign site that is reached by its address has that address, not this one.
    """
    return _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in own_names


def is_foreign(method: str, headers: Mapping[str, str]) -> bool:
    """Returns True when another site made the browser send a request that it may not send.

    Another site may only link to a page, so that the browser shows the page in its window.  It may not load a page
    into its own, and may not post.  Programs other than browsers send neither header and pass.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        linked = method in SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"
        return site not in _OWN_PAGE and not linked
    origin = headers.get("origin")
    if method in SAFE_METHODS or origin is None:
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
