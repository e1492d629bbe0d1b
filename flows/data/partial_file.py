"""Temporary files beside a target, which the caller renames when they are complete."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """Yields a path beside *target* for its new content; on exit, removes the file unless it was renamed.

    The name does not end in ``.jsonl``, so a partial file is never read as data, even after a crash.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
