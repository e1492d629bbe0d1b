"""The only reader of the environment (API keys apart, which workers look up by name where the calls are made).

MUSES_HOME       where engines keep their homes and logs (default: .muses in the current folder)
MUSES_STORE      the store that commands use when none is named (default: <MUSES_HOME>/store)
PREFECT_API_URL  a running Prefect server; unset: an embedded one is started when a flow runs
PREFECT_HOME     where Prefect keeps its profiles and database instead
RAY_TMPDIR       where a local Ray keeps its session instead
"""

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from muses_eval.pipeline.errors import ConfigError

_SOCKET_PATH_LIMIT = 107
_RAY_SOCKET_TAIL = len("/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store.0")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings from environment variables."""

    home: Path
    """Absolute."""
    store: str
    prefect_api_url: str | None
    prefect_home: Path
    """Where Prefect keeps its profiles and an embedded server its database."""
    ray_temp_dir: Path | None = None
    """Where the user wants a local Ray to live; None: below ``home``."""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process."""
    env = os.environ if environ is None else environ
    named = Path(env.get("MUSES_HOME") or ".muses").expanduser()
    home = Path(os.path.abspath(named))  # noqa: PTH100 - resolve() would follow links
    return Settings(
        home=home,
        store=env.get("MUSES_STORE") or str(home / "store"),
        prefect_api_url=env.get("PREFECT_API_URL") or None,
        prefect_home=Path(env.get("PREFECT_HOME") or home / "prefect"),
        ray_temp_dir=Path(env["RAY_TMPDIR"], "ray") if env.get("RAY_TMPDIR") else None,  # as Ray reads it
    )


def set_environment_defaults(settings: Settings, environ: MutableMapping[str, str] | None = None) -> None:
    """Gives Ray, Prefect and vLLM a home below ours, no telemetry and little to say, unless the user has chosen.

    Has to run before any of them is imported: they read the environment once.
    """
    env = os.environ if environ is None else environ
    defaults = {
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; unset, Ray warns of it in every worker
        "VLLM_NO_USAGE_STATS": "1",
        "PREFECT_HOME": str(settings.prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",  # as it does with 502 and 503: a server's trouble passes
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # its first start builds a database
    }
    if "PREFECT_LOGGING_LEVEL" not in env:  # who sets it wants to see something
        # We report a failure once, without a stack trace; Prefect's server has the whole log.
        defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    for name, value in defaults.items():
        env.setdefault(name, value)


def make_home(home: Path) -> Path:
    """The folder of one engine, made if it is not there: Prefect, for one, makes no parents."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {home} ({error.strerror}); set MUSES_HOME to a folder that you may write to"
        ) from error
    return home


@contextmanager
def ray_home(settings: Settings, environ: MutableMapping[str, str] | None = None) -> Iterator[Path]:
    """Where a local Ray keeps its session and logs, for as long as it runs.

    Unix sockets allow paths of 107 bytes only; under a deep folder the way in is a short link.
    """
    env = os.environ if environ is None else environ
    # The cluster's key.  Without one, Ray writes one into the user's home, which may not be writable.
    env.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    if settings.ray_temp_dir is not None:
        yield settings.ray_temp_dir
        return
    home = make_home(settings.home / "ray")
    if len(os.fsencode(home)) + _RAY_SOCKET_TAIL <= _SOCKET_PATH_LIMIT:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="muses-", ignore_cleanup_errors=True) as folder:
        short = Path(folder, "ray")
        short.symlink_to(home)
        yield short
