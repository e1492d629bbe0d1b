"""The addresses of this machine, which are never reached through a proxy.

Our own clients ask :func:`is_loopback`.  Libraries that read the environment themselves (Prefect, boto3, Polars, the
clients of agents) learn it from NO_PROXY, and so do all processes that inherit the environment.
"""

from collections.abc import Mapping, MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names and addresses of this machine, as NO_PROXY lists them."""
_METADATA = ("169.254.169.254", "169.254.170.2")
"""Addresses at which a machine or a container in a cloud finds its own role."""
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
"""Variables that name a proxy, in the lower case that has precedence."""


def is_loopback(host: str) -> bool:
    """Returns True for a name or an address of this machine."""
    return host in LOOPBACK or host == "0.0.0.0" or host.startswith("127.") or host.endswith(".localhost")  # noqa: S104


def variable(environ: Mapping[str, str], name: str) -> str:
    """Returns the value of a variable that is read in lower case first, then in upper case; empty when it is unset."""
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def names_proxy(environ: Mapping[str, str]) -> bool:
    """Returns True when the environment names a proxy of any kind."""
    return any(variable(environ, name) for name in PROXY_VARIABLES)


def exempt_loopback(environ: MutableMapping[str, str]) -> None:
    """Adds the addresses of this machine, and those of its cloud's metadata, to NO_PROXY when a proxy is named."""
    if not names_proxy(environ):
        return
    for name in ("no_proxy", "NO_PROXY"):
        listed = [entry.strip() for entry in (environ.get(name) or variable(environ, "no_proxy")).split(",")]
        if "*" not in listed:
            missing = [address for address in (*LOOPBACK, *_METADATA) if address not in listed]
            environ[name] = ",".join(filter(None, (*listed, *missing)))
