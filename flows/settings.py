"""Settings from environment variables.

No other module reads the environment, except that workers look up API keys by name where they call a model, and that
proxies (pipeline/proxy.py) and options of S3 (storage/objects/s3_options.py) are read where connections are opened.

MUSES_HOME       folder for the files and logs of Ray and Prefect (default: .muses in the current folder)
MUSES_STORE      default store of the commands (default: <MUSES_HOME>/store)
MUSES_DASHBOARD_TOKEN  access token of `muses dashboard serve` (default: none)
PREFECT_API_URL  address of a running Prefect server (default: an embedded server starts with each flow)
PREFECT_HOME     folder for the profiles and the database of Prefect (default: <MUSES_HOME>/prefect)
RAY_TMPDIR       folder for the session of a local Ray (default: <MUSES_HOME>/ray)
"""

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from muses_eval.pipeline.errors import ConfigError

_SOCKET_PATH_LIMIT = 107
_LINK = "muses-12345678/ray"
"""Form of the link below the folder of temporary files."""
_RAY_SOCKET_TAIL = len("/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store.0")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings from environment variables."""

    home: Path
    """Absolute path of the folder for the files of Ray and Prefect."""
    store: str
    prefect_api_url: str | None
    prefect_home: Path
    """Folder for the profiles of Prefect and the database of an embedded server."""
    ray_temp_dir: Path | None = None
    """Folder for a local Ray, chosen by the user; None: a folder below ``home``."""
    dashboard_token: str | None = field(default=None, repr=False)
    """Access token of the dashboard, not checked yet; None when the variable is not set."""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings from *environ*, by default from the environment of this process."""
    env = os.environ if environ is None else environ
    named = Path(env.get("MUSES_HOME") or ".muses").expanduser()
    home = Path(os.path.abspath(named))  # noqa: PTH100 - resolve() would follow links
    return Settings(
        home=home,
        store=env.get("MUSES_STORE") or str(home / "store"),
        prefect_api_url=env.get("PREFECT_API_URL") or None,
        prefect_home=Path(env.get("PREFECT_HOME") or home / "prefect"),
        ray_temp_dir=Path(env["RAY_TMPDIR"], "ray") if env.get("RAY_TMPDIR") else None,  # as Ray reads it
        dashboard_token=env.get("MUSES_DASHBOARD_TOKEN"),
    )


def set_environment_defaults(settings: Settings, environ: MutableMapping[str, str] | None = None) -> None:
    """Sets the environment variables of Ray, Prefect and vLLM that the user has not set.

    The defaults keep their files below ``settings.home``, turn telemetry off and reduce logging.  Call this before any
    of the libraries is imported, because they read the environment once.
    """
    env = os.environ if environ is None else environ
    defaults = {
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # with it, every worker under `uv run` builds the environment again
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the future default; without it, Ray logs a warning in every worker
        "VLLM_NO_USAGE_STATS": "1",
        "PREFECT_HOME": str(settings.prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",  # 502 and 503 are retried anyway
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # the first start creates a database
    }
    if "PREFECT_LOGGING_LEVEL" not in env:  # a user who sets it wants to see the log
        # Failures are reported once, without a stack trace; the Prefect server has the complete log.
        defaults["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    if not _has_home():  # Prefect looks for files in the user's home folder even when PREFECT_HOME is set
        defaults["HOME"] = str(settings.home)
    for name, value in defaults.items():
        env.setdefault(name, value)


def _has_home() -> bool:
    """Returns False for a user without HOME and without an entry in passwd, as containers may have."""
    try:
        Path.home()
    except RuntimeError:
        return False
    return True


def _fits(folder: Path) -> bool:
    """Returns whether the paths of Ray's sockets below a folder are short enough."""
    return len(os.fsencode(folder)) + _RAY_SOCKET_TAIL <= _SOCKET_PATH_LIMIT


def make_home(home: Path, variable: str = "MUSES_HOME") -> Path:
    """Creates a folder and its parents, and returns it.  *variable*: what names another folder.

    Raises:
        ConfigError: the folder cannot be created.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot create {home} ({error.strerror}); set {variable} to a folder that you may write to"
        ) from error
    return home


@contextmanager
def ray_home(settings: Settings, environ: MutableMapping[str, str] | None = None) -> Iterator[Path]:
    """Yields the folder for the session and the logs of a local Ray.

    The path of a Unix socket has at most 107 bytes.  When the folder is nested too deeply, the path is a short link.
    """
    env = os.environ if environ is None else environ
    # Without a token, Ray writes one into the home of the user, which may not be writable.
    env.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    home = make_home(settings.ray_temp_dir or settings.home / "ray", "RAY_TMPDIR or MUSES_HOME")
    if _fits(home):
        yield home
        return
    short_enough = _fits(Path(tempfile.gettempdir(), _LINK))
    where = None if short_enough else "/tmp"  # noqa: S108 - a new folder that only this user can open
    with tempfile.TemporaryDirectory(prefix="muses-", dir=where, ignore_cleanup_errors=True) as folder:
        short = Path(folder, "ray")
        short.symlink_to(home)
        yield short
