"""``muses dashboard serve`` and ``muses dashboard export``."""

import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Store
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.text.count_text import count_text

if TYPE_CHECKING:
    from muses_eval.dashboards.web.access_token import AccessToken


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Where a server listens, and who may use it."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs an access token."""
    port: int = 8600
    """Port to listen on."""
    token_file: Path | None = None
    """File with the access token that visitors sign in with. Default: MUSES_DASHBOARD_TOKEN."""
    host_name: tuple[str, ...] = ()
    """Name under which visitors reach the server, such as evals.example.org; may be repeated."""
    trusted_proxy: tuple[str, ...] = ()
    """Address of a proxy whose X-Forwarded-Proto and X-Forwarded-For are believed; may be repeated."""


_LOCAL = Exposure()


def serve(*, store: Store = None, exposure: Exposure = _LOCAL) -> int:
    """Serve a store's pages over HTTP until interrupted."""
    import uvicorn
    from muses_eval.dashboards.web.access_control import AccessRules
    from muses_eval.dashboards.web.server import make_app
    from muses_eval.dashboards.web.store_cache import StoreCache

    settings, host = read_settings(), exposure.host
    token = _token(exposure.token_file, settings.dashboard_token)
    if token is None and not _is_loopback(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines, so an access token is needed: set"
            " MUSES_DASHBOARD_TOKEN, or name a file with --token-file"
        )
    rules = AccessRules(token, frozenset(name.lower() for name in (host, *exposure.host_name)))
    cache = StoreCache(store or settings.store)
    cache.runs()  # an unreadable store is reported now, not in the browser
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{exposure.port}/", file=sys.stderr, flush=True)  # noqa: T201
    uvicorn.run(
        make_app(cache, rules),
        host=host,
        port=exposure.port,
        log_level="warning",
        proxy_headers=bool(exposure.trusted_proxy),
        forwarded_allow_ips=list(exposure.trusted_proxy),
        server_header=False,
    )
    return DONE


def export(folder: Path, /, *, store: Store = None) -> int:  # noqa: D417
    """Write a store's pages as static files.

    Parameters
    ----------
    folder
        Output folder; created if missing.
    """
    from muses_eval.dashboards.web.export import export as write
    from muses_eval.dashboards.web.store_cache import StoreCache

    cache = StoreCache(store or read_settings().store)
    try:
        count = write(cache, folder)
    except OSError as error:
        raise ConfigError(
            f"cannot write to {folder} ({error.strerror}); name a folder that you may write to"
        ) from error
    print(f"{count_text(count, 'file')} in {folder}; open {folder / 'index.html'}", file=sys.stderr)  # noqa: T201
    return DONE


def _token(file: Path | None, variable: str | None) -> "AccessToken | None":
    """Returns the access token of the file, else of the environment variable; None when there is neither.

    Raises:
        ConfigError: the file cannot be read, or the token is empty or easy to guess.
    """
    from muses_eval.dashboards.web.access_token import AccessToken

    if file is not None:
        try:
            return AccessToken.parse(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text in UTF-8"
            raise ConfigError(f"cannot read the access token from {file} ({reason}); correct --token-file") from None
    return None if variable is None else AccessToken.parse(variable, "MUSES_DASHBOARD_TOKEN in the environment")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
