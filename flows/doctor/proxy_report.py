"""The proxies of the environment, and the addresses of a run that they serve: a check of ``muses doctor``."""

from collections.abc import Iterable, Mapping

from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.loopback import PROXY_VARIABLES, variable
from muses_eval.pipeline.proxy import malformed_proxy, proxy_for
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Store


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


def store_endpoints(stores: Iterable[str]) -> dict[str, str]:
    """Returns ``store <URL>`` -> the address of its server, for the stores on S3.

    Raises:
        MusesError: a store cannot be opened.
    """
    opened = (open_store(store) for store in stores)
    return {f"store {store.url}": store.endpoint for store in opened if isinstance(store, S3Store)}
