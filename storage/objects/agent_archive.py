"""The code of Python agents in a store: one archive per version of the code, under a digest of its files.

    agents/<digest of the code>.zip

Workers on any machine read it, and the store keeps the code of every agent that has results in it.
"""

import io
import re
import zipfile
from collections.abc import Mapping
from hashlib import blake2b

from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.hashing import digest

AGENTS = "agents/"
_KEY = re.compile(r"agents/(?P<digest>[0-9a-f]{32})\.zip", re.ASCII)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file, the earliest of the format, so that equal files give equal archives."""


def code_digest(files: Mapping[str, bytes]) -> str:
    """Returns 32 hex digits that identify the files: relative path with slashes -> content."""
    return digest("agent code", sorted((path, blake2b(data).hexdigest()) for path, data in files.items()))


def archive_key(code: str) -> str:
    """Returns the key of the archive of the code with this digest."""
    return f"{AGENTS}{code}.zip"


def parse_archive_key(key: str) -> str | None:
    """Returns the digest in the key of an archive; None for any other key."""
    match = _KEY.fullmatch(key)
    return match["digest"] if match else None


def pack_code(files: Mapping[str, bytes]) -> bytes:
    """Returns a ZIP archive of the files; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def unpack_code(key: str, data: bytes) -> dict[str, bytes]:
    """Returns path -> content of an archive.

    Raises:
        StoreError: it is damaged, or its content does not belong to its key.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, ValueError, RuntimeError) as error:
        raise StoreError(f"{key}: not a ZIP archive: {error}") from error
    if code_digest(files) != parse_archive_key(key):
        raise StoreError(f"{key}: its content has the digest {code_digest(files)}")
    return files
