"""The only reader of the environment (API keys apart, which workers look up by name where the calls are made).

MUSES_HOME       where engines keep their homes and logs (default: .muses in the current folder)
MUSES_STORE      the store that commands use when none is named (default: <MUSES_HOME>/store)
PREFECT_API_URL  a running Prefect server; unset: an embedded one is started when a flow runs
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError

_SOCKET_PATH_LIMIT = 107
_RAY_SOCKET_TAIL = len("/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store.0")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    home: Path
    """Absolute."""
    store: str
    prefect_api_url: str | None

    @property
    def ray_home(self) -> Path:
        """Where a local Ray keeps its session and logs.

        Unix sockets allow paths of 107 bytes only; under a deep folder the way in is a short link.
        """
        home = self.home / "ray"
        if len(str(home)) + _RAY_SOCKET_TAIL <= _SOCKET_PATH_LIMIT:
            return home
        tag = hashlib.sha256(str(home).encode()).hexdigest()[:8]
        return Path(tempfile.gettempdir()) / f"muses-{tag}"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process."""
    env = os.environ if environ is None else environ
    home = Path(os.path.abspath(Path(env.get("MUSES_HOME") or ".muses").expanduser()))
    return Settings(
        home=home,
        store=env.get("MUSES_STORE") or str(home / "store"),
        prefect_api_url=env.get("PREFECT_API_URL") or None,
    )


def quiet_engines(settings: Settings, environ: MutableMapping[str, str] | None = None) -> None:
    """Gives Ray, Prefect and vLLM a home below ours, no telemetry and little to say, unless the user has chosen.

    Has to run before any of them is imported: they read the environment once.
    """
    env = os.environ if environ is None else environ
    defaults = {
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; unset, Ray warns of it in every worker
        "VLLM_NO_USAGE_STATS": "1",
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # its first start builds a database
    }
    for name, value in defaults.items():
        env.setdefault(name, value)


def make_home(settings: Settings, engine: str) -> Path:
    """The folder of one engine, made if it is not there: an embedded Prefect, for one, does not make its own."""
    home = settings.home / engine
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make {home} ({error.strerror}); set MUSES_HOME to a folder that you may write to"
        ) from error
    return home


def link_ray_home(settings: Settings) -> Path:
    """Makes Ray's home and, where needed, the short link to it; returns the path to give to Ray."""
    home = make_home(settings, "ray")
    short = settings.ray_home
    if short != home and not (short.is_symlink() and short.resolve() == home.resolve()):
        short.unlink(missing_ok=True)
        short.symlink_to(home)
    return short
