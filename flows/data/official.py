"""Downloads the official scenario files and verifies their SHA-256.

``official_manifest.json`` beside this module pins a commit of the public repository, and the size and SHA-256 of every
file.  :func:`pull` guarantees: every file that it writes is complete and has the pinned digest; files that are already
correct are not downloaded again, so an interrupted pull resumes; existing files that differ stay, unless *force* is
set; transient errors are retried, and any other error ends the pull at once.
"""

import hashlib
import json
import os
import random
import ssl
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from muses_eval.flows.data.partial_file import partial_file
from muses_eval.pipeline.errors import ConfigError, DatasetError

_MANIFEST = Path(__file__).with_name("official_manifest.json")
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """One pinned file."""

    path: str
    """Path within the repository, with slashes."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """A commit of the public repository and its pinned files."""

    repository: str
    """``owner/name``."""
    commit: str
    license: str
    """Licence of the files, as an SPDX identifier."""
    files: tuple[OfficialFile, ...]

    @property
    def base_url(self) -> str:
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadPolicy:
    """Timeouts and retries of a pull: exponential backoff with full jitter."""

    tries: int = 5
    """Maximum number of attempts per file, including the first."""
    timeout_s: float = 30.0
    """Timeout for connecting and for each read."""
    file_timeout_s: float = 300.0
    """Timeout for one attempt at one file, so that a slow transfer ends."""
    base_delay_s: float = 1.0
    """Upper bound of the delay after the first failure; it doubles with each further failure."""
    max_delay_s: float = 30.0
    """Maximum delay, even when Retry-After asks for more."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def delay_s(self, failures: int, retry_after_s: float) -> float:
        """Returns a random delay, but at least *retry_after_s*; at most ``max_delay_s``."""
        drawn = self.rng.uniform(0, self.base_delay_s * 2 ** (failures - 1))
        return min(max(drawn, retry_after_s), self.max_delay_s)


@dataclass(frozen=True, slots=True)
class PullResult:
    """Files that a pull downloaded, and files that were already correct."""

    fetched: tuple[OfficialFile, ...]
    kept: tuple[OfficialFile, ...]


class _TransientError(Exception):
    """An error after which another attempt may succeed."""

    def __init__(self, problem: str, retry_after_s: float = 0.0) -> None:
        super().__init__(problem)
        self.problem, self.retry_after_s = problem, retry_after_s


def read_release() -> Release:
    """Returns the pinned release."""
    raw = json.loads(_MANIFEST.read_text(encoding="utf-8"))
    files = tuple(OfficialFile(**entry) for entry in raw["files"])
    return Release(raw["repository"], raw["commit"], raw["license"], files)


def pull(  # noqa: PLR0913 - source, target and options
    release: Release,
    folder: Path,
    base_url: str | None = None,
    *,
    force: bool = False,
    policy: DownloadPolicy | None = None,
    on_file: Callable[[OfficialFile], None] = lambda _: None,
) -> PullResult:
    """Downloads the release's files into *folder*, under their paths in the repository.

    Args:
        release: the files to download.
        folder: target folder; created if missing.
        base_url: URL to which the paths are appended; that of the public repository when None.
        force: replace existing files that differ.
        policy: timeouts and retries.
        on_file: called after each download.

    Raises:
        ConfigError: *base_url* is invalid, or existing files differ and *force* is not set.
        DatasetError: a file cannot be downloaded, differs from the pinned one, or cannot be written.  Files written
            before stay.
    """
    base = checked_base_url(base_url or release.base_url)
    policy = policy or DownloadPolicy()
    kept = tuple(file for file in release.files if _digest_of(folder / file.path) == file.sha256)
    wanted = tuple(file for file in release.files if file not in kept)
    different = [str(folder / file.path) for file in wanted if os.path.lexists(folder / file.path)]
    if different and not force:
        raise ConfigError(
            f"{len(different)} existing files differ from the official ones; nothing was downloaded or replaced:\n"
            + "".join(f"  {path}\n" for path in different)
            + "Move them away, choose another --out, or replace them with --force."
        )
    for file in wanted:
        data = _fetch(file, base, policy)
        _write(folder / file.path, data)
        on_file(file)
    return PullResult(wanted, kept)


def checked_base_url(url: str) -> str:
    """Returns *url* with a trailing slash.

    Raises:
        ConfigError: *url* is not http or https, or has more than a host, a port and a path.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        usable = usable and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"base URL {url!r}: expected http:// or https:// with only a host and a path, such as https://mirror.example/muses/"
        )
    return url if url.endswith("/") else f"{url}/"


def _digest_of(path: Path) -> str | None:
    """Returns the SHA-256 of a file; None when it does not exist."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise DatasetError(str(path), f"cannot be read: {error.strerror or error}") from error


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(target) as part:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
    except OSError as error:
        problem = (
            f"cannot be written: {error.strerror or error}; free disk space or choose another --out, then pull again"
        )
        raise DatasetError(str(target), problem) from error


def _fetch(file: OfficialFile, base_url: str, policy: DownloadPolicy) -> bytes:
    """Returns the content of a file, with the pinned digest; retries transient errors."""
    url = base_url + quote(file.path)
    failures = 0
    while True:
        try:
            data = _get(url, file.bytes, policy)
        except _TransientError as failure:
            failures += 1
            if failures >= policy.tries:
                raise DatasetError(
                    url,
                    f"{failure.problem} ({failures} tries); pull again later: complete files stay, and only the "
                    "others are downloaded. --base-url selects a mirror",
                ) from failure
            policy.sleep(policy.delay_s(failures, failure.retry_after_s))
        else:
            _check(url, data, file)
            return data


def _check(url: str, data: bytes, file: OfficialFile) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        size = f"{len(data)}" if len(data) <= file.bytes else f"more than {file.bytes}"
        raise DatasetError(
            url,
            f"not the pinned file: expected {file.bytes} bytes with SHA-256 {file.sha256}, got {size} bytes with "
            f"{digest if len(data) <= file.bytes else 'another digest'}; it was not written. A mirror must have the "
            "pinned commit; without a mirror, check for a proxy that modifies responses",
        )


def _get(url: str, size: int, policy: DownloadPolicy) -> bytes:
    """Returns the response body of one attempt; it stops reading once the body is longer than *size*."""
    opener = urllib.request.build_opener(_SameSchemeRedirects())
    request = urllib.request.Request(url, headers={"User-Agent": "muses-eval"})  # noqa: S310 - checked_base_url
    deadline = policy.clock() + policy.file_timeout_s
    try:
        with opener.open(request, timeout=policy.timeout_s) as response:
            return _body(response, size, lambda: policy.clock() > deadline)
    except HTTPError as error:
        with error:
            raise _status_error(url, error) from error
    except (InvalidURL, ValueError) as error:
        raise DatasetError(url, f"not a valid URL: {error}; correct --base-url") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            problem = f"the server's certificate is not trusted: {reason.verify_message}"
            raise DatasetError(
                url, f"{problem}; set SSL_CERT_FILE to a file with further certificate authorities"
            ) from error
        raise _TransientError(f"no complete response: {reason or type(reason).__name__}") from error


def _body(response: HTTPResponse, size: int, is_late: Callable[[], bool]) -> bytes:
    content_length = response.length
    body = bytearray()
    while len(body) <= size and (chunk := response.read1(_CHUNK)):
        body += chunk
        if is_late():
            raise _TransientError(f"too slow: {len(body)} of {size} bytes after the timeout")
    if content_length is not None and len(body) < min(content_length, size):
        raise _TransientError(f"cut off after {len(body)} of {content_length} bytes")
    return bytes(body)


def _status_error(url: str, error: HTTPError) -> Exception:
    status = f"the server responds {error.code} {error.reason}"
    if error.code in _TRANSIENT_STATUSES:
        retry_after = error.headers.get("Retry-After", "")
        return _TransientError(status, float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0)
    return DatasetError(
        url, f"{status}; expected the file. Correct --base-url, or omit it to use the public repository"
    )


class _SameSchemeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the same scheme only, so never from https to http."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Raises DatasetError when *newurl* has another scheme."""
        scheme = urlsplit(newurl).scheme
        if scheme != req.type:
            fp.close()
            raise DatasetError(
                req.full_url,
                f"redirected to {newurl}, from {req.type} to {scheme}; set --base-url to the new location",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
