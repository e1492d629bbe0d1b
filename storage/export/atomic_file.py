"""Atomic writes: a file is complete or does not exist, and is overwritten only on request."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from muses_eval.pipeline.errors import ConfigError

_ADVICE = "name another file, or replace it with --force"


@contextmanager
def atomic_write(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yields a temporary path, which becomes *target* when the block ends without an exception.

    Raises:
        ConfigError: the target exists and *replace* is not set, or the file cannot be written.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        check_target(target, replace=replace)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            _put(part, target, replace=replace)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write {target} ({error.strerror or error}); name another file, or make room"
        ) from error


def check_target(target: Path, *, replace: bool) -> None:
    """Raises ConfigError when *target* exists and *replace* is not set, or when it is a folder."""
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; name a file")
    if target.exists() and not replace:
        raise ConfigError(f"{target} exists already; {_ADVICE}")


def _put(part: Path, target: Path, *, replace: bool) -> None:
    if replace:
        part.replace(target)
        return
    try:
        os.link(part, target)  # a link, unlike a rename, never replaces
    except FileExistsError as error:
        raise ConfigError(f"{target} exists already; {_ADVICE}") from error
