"""HTTP proxies, as the environment names them: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``.

Each name is read in lower case first, then in upper case, as curl, httpx and urllib do.  ``ALL_PROXY`` counts where the
URL's own scheme has no proxy.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.loopback import PROXY_VARIABLES, is_loopback, variable

_SUPPORTED = ("http", "https")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.  The repr contains no secret."""

    url: str
    """Its address, without user and password."""
    user: str | None = None
    password: str = field(default="", repr=False)

    @property
    def authorization(self) -> str | None:
        """Value of the header ``Proxy-Authorization``; None when the proxy needs none."""
        if self.user is None:
            return None
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"

    @property
    def url_with_login(self) -> str:
        """Its address with user and password, which must not be shown."""
        scheme, _, server = self.url.partition("://")
        login = "" if self.user is None else f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return f"{scheme}://{login}{server}"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Returns the proxy for *url*; None when it is reached directly.

    Raises:
        ConfigError: the proxy is not an HTTP proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _is_among(host, variable(environ, "no_proxy")):
        return None
    name = next((name for name in (f"{parts.scheme}_proxy", "all_proxy") if variable(environ, name)), None)
    if name is None:
        return None
    address = _parse(variable(environ, name))
    if address is None or address[0] not in _SUPPORTED:
        kind = "a SOCKS proxy" if address and address[0].startswith("socks") else "no address of an HTTP proxy"
        raise ConfigError(  # the value is not shown, because it may hold a password
            f"{name.upper()} in the environment is {kind}, and {host} can only be reached through an HTTP proxy, such "
            f"as http://proxy.example:3128; set {parts.scheme.upper()}_PROXY to one, or name {host} in NO_PROXY"
        )
    scheme, server, user, password = address
    return Proxy(urlunsplit((scheme, server, "", "", "")), user, password)


def malformed_proxy(environ: Mapping[str, str]) -> str | None:
    """Returns the name of a variable whose value is no address of an HTTP or SOCKS 5 proxy; None when all are."""
    for name in PROXY_VARIABLES:
        if value := variable(environ, name):
            address = _parse(value)
            if address is None or address[0] not in (*_SUPPORTED, "socks5", "socks5h"):
                return name.upper()
    return None


def _parse(proxy: str) -> tuple[str, str, str | None, str] | None:
    """Returns the scheme, host and port, user and password of a proxy; None when its value is no address."""
    try:
        found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = f":{found.port}" if found.port else ""
    except ValueError:
        return None
    if not found.hostname:
        return None
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    user = None if found.username is None else unquote(found.username)
    return found.scheme, host + port, user, unquote(found.password or "")


def _is_among(host: str, names: str) -> bool:
    """Returns True when NO_PROXY names the host, its domain, its network or ``*``; ports are ignored."""
    for name in (each.strip().lower() for each in names.split(",")):
        known = name if name.count(":") > 1 else name.partition(":")[0]  # an IPv6 address has no port here
        known = known.removeprefix("*").removeprefix(".")
        if name == "*" or (known and (host == known or host.endswith(f".{known}") or _is_within(host, known))):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
