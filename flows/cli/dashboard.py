"""``muses dashboard serve`` and ``muses dashboard export``."""

import secrets
import sys
from ipaddress import ip_address
from pathlib import Path

from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Store
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import ConfigError


def serve(*, store: Store = None, host: str = "127.0.0.1", port: int = 8600, token: str | None = None) -> int:  # noqa: D417
    """Serve a store's pages over HTTP until interrupted.

    Parameters
    ----------
    host
        Address to listen on. Any but loopback needs a token; one is made when none is given.
    port
        Port to listen on.
    token
        Access token that visitors pass once, as ?token=...
    """
    import uvicorn
    from muses_eval.dashboards.web.server import make_app
    from muses_eval.dashboards.web.store_cache import StoreCache

    if not _is_loopback(host) and token is None:
        token = secrets.token_urlsafe(24)
    cache = StoreCache(store or read_settings().store)
    cache.runs()  # an unreadable store is reported now, not in the browser
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}/{f'?token={token}' if token else ''}", file=sys.stderr, flush=True)  # noqa: T201
    uvicorn.run(make_app(cache, token), host=host, port=port, log_level="warning")
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
    print(f"{count} files in {folder}; open {folder / 'index.html'}", file=sys.stderr)  # noqa: T201
    return DONE


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
