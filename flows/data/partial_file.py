"""Files that are whole or not there."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """A path beside *target* for what is to become it; whatever is still there at the end is removed.

    Its name does not end in ``.jsonl``, so a partial file is never read as data, not even after a power cut.
    """
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
