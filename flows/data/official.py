"""Downloads the official scenario files and the texts of the released evaluator, and verifies their checksums.

``official_manifest.json`` beside this module pins a commit of the public repository and the checksum of every scenario
file, and names the source files that hold the texts.  :func:`pull` guarantees: every file that it writes is complete
and has the pinned content; files that are already correct are not downloaded again, so an interrupted pull resumes;
existing files that differ stay, unless *force* is set; transient errors are retried, and any other error ends the pull
at once.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from muses_eval.flows.data import released_source
from muses_eval.flows.data.checksum import Checksum, compute
from muses_eval.flows.data.download import DownloadPolicy, checked_base_url, download, write_whole
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.protocols import released_texts
from muses_eval.pipeline.protocols.released_texts import ReleasedTexts

_MANIFEST = Path(__file__).with_name("official_manifest.json")
_MAX_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """One pinned scenario file."""

    path: str
    """Path within the repository, with slashes."""
    checksum: Checksum
    bytes: int | None = None
    """Size; None when only the checksum is known."""
    rows: int | None = None
    """Number of scenarios; None when unknown."""

    @property
    def max_bytes(self) -> int:
        return _MAX_BYTES if self.bytes is None else self.bytes


@dataclass(frozen=True, slots=True)
class TextSource:
    """A source file of the released evaluator that holds some of its texts."""

    path: str
    """Path within the repository, with slashes."""
    texts: tuple[str, ...]
    """Names of the texts, as in :class:`ReleasedTexts`."""


@dataclass(frozen=True, slots=True)
class Release:
    """A commit of the public repository and what is used of it."""

    repository: str
    """``owner/name``."""
    commit: str
    license: str
    """Licence of the files, as an SPDX identifier."""
    files: tuple[OfficialFile, ...]
    text_sources: tuple[TextSource, ...]
    text_digests: Mapping[str, str]
    """Name of a text -> SHA-256 of its UTF-8 bytes."""

    @property
    def base_url(self) -> str:
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/"


@dataclass(frozen=True, slots=True)
class PullResult:
    """Paths below the target folder."""

    fetched: tuple[str, ...]
    """Files that the pull downloaded."""
    kept: tuple[str, ...]
    """Files that were already correct."""


def read_release() -> Release:
    """Returns the pinned release."""
    raw = json.loads(_MANIFEST.read_text(encoding="utf-8"))
    return Release(
        repository=raw["repository"],
        commit=raw["commit"],
        license=raw["license"],
        files=tuple(map(_official_file, raw["files"])),
        text_sources=tuple(TextSource(entry["path"], tuple(entry["texts"])) for entry in raw["text_sources"]),
        text_digests=released_texts.PINNED,
    )


def _official_file(entry: Mapping[str, Any]) -> OfficialFile:
    if "sha256" in entry:
        return OfficialFile(entry["path"], Checksum("sha256", entry["sha256"]), entry["bytes"], entry["rows"])
    return OfficialFile(entry["path"], Checksum("git_blob", entry["git_blob"]))


def pull(  # noqa: PLR0913 - source, target and options
    release: Release,
    folder: Path,
    base_url: str | None = None,
    *,
    force: bool = False,
    policy: DownloadPolicy | None = None,
    on_file: Callable[[str], None] = lambda _: None,
) -> PullResult:
    """Downloads the release's files into *folder*, under their paths in the repository, and its texts into one file.

    Args:
        release: what to download.
        folder: target folder; created if missing.
        base_url: URL to which the paths are appended; that of the public repository when None.
        force: replace existing files that differ.
        policy: timeouts and retries.
        on_file: called with the path of each file that was written.

    Raises:
        ConfigError: *base_url* is invalid, or existing files differ and *force* is not set.
        DatasetError: a file cannot be downloaded, differs from the pinned one, or cannot be written.  Files written
            before stay.
    """
    base = checked_base_url(base_url or release.base_url)
    policy = policy or DownloadPolicy()
    correct = {file.path: _is_correct(folder / file.path, file) for file in release.files}
    if release.text_sources:
        correct[released_texts.FILE_NAME] = _has_texts(folder / released_texts.FILE_NAME, release.text_digests)
    uncertain = {file.path for file in release.files if file.bytes is None}  # nobody here has read them: they come last
    wanted = sorted((path for path in correct if not correct[path]), key=uncertain.__contains__)
    different = [str(folder / path) for path in wanted if os.path.lexists(folder / path)]
    if different and not force:
        raise ConfigError(
            f"{len(different)} existing files differ from the official ones; nothing was downloaded or replaced:\n"
            + "".join(f"  {path}\n" for path in different)
            + "Move them away, choose another --out, or replace them with --force."
        )
    contents: dict[str, Callable[[], bytes]] = {
        file.path: partial(_fetch, file, base, policy) for file in release.files
    }
    contents[released_texts.FILE_NAME] = partial(_texts_file, release, base, policy)
    for path in wanted:
        write_whole(folder / path, contents[path]())
        on_file(path)
    return PullResult(tuple(wanted), tuple(path for path in correct if correct[path]))


def _is_correct(path: Path, file: OfficialFile) -> bool:
    """Returns whether *path* exists with the pinned content."""
    try:
        return path.stat().st_size <= file.max_bytes and file.checksum.matches(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError):
        return False
    except OSError as error:
        raise DatasetError(str(path), f"cannot be read: {error.strerror or error}") from error


def _has_texts(path: Path, digests: Mapping[str, str]) -> bool:
    """Returns whether *path* exists with the pinned texts."""
    try:
        released_texts.from_json(str(path), path.read_text(encoding="utf-8"), digests)
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError, DatasetError):
        return False
    except OSError as error:
        raise DatasetError(str(path), f"cannot be read: {error.strerror or error}") from error
    return True


def _fetch(file: OfficialFile, base_url: str, policy: DownloadPolicy) -> bytes:
    """Returns the content of a file, with the pinned checksum."""
    url = base_url + quote(file.path)
    content = download(url, file.max_bytes, policy)
    too_long = len(content) > file.max_bytes
    if too_long or not file.checksum.matches(content):
        expected = str(file.checksum) if file.bytes is None else f"{file.bytes} bytes with {file.checksum}"
        got = (
            f"more than {file.max_bytes} bytes with another digest"
            if too_long
            else f"{len(content)} bytes with {compute(content, file.checksum.algorithm)}"
        )
        raise DatasetError(
            url,
            f"not the pinned file: expected {expected}, got {got}; it was not written. A mirror must have the "
            "pinned commit; without a mirror, check for a proxy that modifies responses",
        )
    return content


def _texts_file(release: Release, base_url: str, policy: DownloadPolicy) -> bytes:
    """Returns the content of the file with the texts; nothing else of their source files is used."""
    found: dict[str, str] = {}
    for source in release.text_sources:
        url = base_url + quote(source.path)
        content = download(url, released_source.MAX_BYTES, policy)
        found |= released_source.find_texts(url, content, {name: release.text_digests[name] for name in source.texts})
    origin = {"repository": release.repository, "commit": release.commit, "license": release.license}
    return released_texts.to_json(ReleasedTexts(**found), origin).encode()
