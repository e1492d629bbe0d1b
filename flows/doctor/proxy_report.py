"""The proxies of the environment, and the addresses of a run that they serve: a check of ``muses doctor``."""

from collections.abc import Mapping

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.loopback import PROXY_VARIABLES, variable
from muses_eval.pipeline.proxy import malformed_proxy, proxy_for


def proxy_report(urls: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    """Returns which addresses are reached through which proxy; None when the environment names no proxy.

    Args:
        urls: what is reached, such as ``model a`` or ``store`` -> its URL.
        environ: environment variables.

    Raises:
        ConfigError: a proxy cannot be used.
    """
    named = [name for name in PROXY_VARIABLES if variable(environ, name)]
    if not named:
        return None
    if malformed := malformed_proxy(environ):
        raise ConfigError(f"{malformed} is no address of a proxy, such as http://proxy.example:3128; correct it")
    routes: dict[str, list[str]] = {}
    for what, url in urls.items():
        proxy = proxy_for(url, environ)
        routes.setdefault("directly" if proxy is None else f"through {proxy.url}", []).append(what)
    found = [f"{', '.join(names)} {route}" for route, names in routes.items()]
    read = ", ".join(name.upper() for name in named)
    return "; ".join([f"{read} set, addresses of this machine are reached directly", *found])
