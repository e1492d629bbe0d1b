"""The official scenarios: which files they are, and how they come here unharmed.

``official_manifest.json`` beside this module pins one commit of the public repository, and every file's size and
SHA-256.  :func:`pull` promises: a file that it leaves is whole and has its pinned sum; what is right already is not
asked for again, so an interrupted pull goes on where it stopped; what is there and differs stays, unless replacing it
is asked for; trouble that may pass is met with a few more tries, any other ends the pull at once.
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

from muses_eval.flows.data.partial_file import part_of
from muses_eval.pipeline.errors import ConfigError, DatasetError

_MANIFEST = Path(__file__).with_name("official_manifest.json")
_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class OfficialFile:
    """One pinned file."""

    path: str
    """Relative to the repository, with slashes."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """One commit of the public repository."""

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
class Patience:
    """How long a pull waits, and for what; clock, sleep and dice come from outside."""

    tries: int = 5
    """A file, the first one included."""
    timeout_s: float = 30.0
    """For one silence of the server."""
    file_timeout_s: float = 300.0
    """For one try of one file: a server that trickles is not waited for forever."""
    first_wait_s: float = 1.0
    """Upper bound of the wait after the first failure; it doubles from one to the next."""
    longest_wait_s: float = 30.0
    """Also of the waits that a server asks for."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)

    def wait_s(self, failures: int, asked_s: float) -> float:
        """Full jitter, so that many machines do not come back at once; no less than the server asked for."""
        drawn = self.dice.uniform(0, self.first_wait_s * 2 ** (failures - 1))
        return min(max(drawn, asked_s), self.longest_wait_s)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    fetched: tuple[OfficialFile, ...]
    kept: tuple[OfficialFile, ...]
    """They were there and right."""


class _TransientError(Exception):
    """A try that failed in a way that may pass."""

    def __init__(self, problem: str, asked_s: float = 0.0) -> None:
        super().__init__(problem)
        self.problem, self.asked_s = problem, asked_s


def read_release() -> Release:
    """The pinned release."""
    raw = json.loads(_MANIFEST.read_text(encoding="utf-8"))
    files = tuple(OfficialFile(**entry) for entry in raw["files"])
    return Release(raw["repository"], raw["commit"], raw["license"], files)


def pull(  # noqa: PLR0913 - what, whence, whither, and how
    release: Release,
    folder: Path,
    base_url: str | None = None,
    *,
    force: bool = False,
    patience: Patience | None = None,
    on_file: Callable[[OfficialFile], None] = lambda _: None,
) -> Pulled:
    """Brings the release's files into *folder*, under the paths that they have in the repository.

    *base_url*: where the paths begin; the public repository when None.  *force*: replace files that differ.
    *on_file* is called for each file that was fetched.

    Raises:
        ConfigError: the base URL is none, or files are there that differ and may not be replaced.
        DatasetError: a file cannot be had, is not the pinned one, or cannot be written.  Earlier files stay.
    """
    base = checked_base_url(base_url or release.base_url)
    waiting = patience or Patience()
    kept = tuple(file for file in release.files if _digest_of(folder / file.path) == file.sha256)
    wanted = tuple(file for file in release.files if file not in kept)
    different = [str(folder / file.path) for file in wanted if os.path.lexists(folder / file.path)]
    if different and not force:
        raise ConfigError(
            f"{len(different)} files are there and differ from the official ones; nothing was fetched or replaced:\n"
            + "".join(f"  {path}\n" for path in different)
            + "Move them away, name another --out, or replace them with --force."
        )
    for file in wanted:
        data = _fetch(file, base, waiting)
        _write(folder / file.path, data)
        on_file(file)
    return Pulled(wanted, kept)


def checked_base_url(url: str) -> str:
    """*url* with a slash at its end.  Raises ConfigError unless paths can be appended to it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
        usable = usable and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"base URL {url!r}: expected http:// or https:// with a host and a path only, as https://mirror.example/muses/"
        )
    return url if url.endswith("/") else f"{url}/"


def _digest_of(path: Path) -> str | None:
    """None when there is no such file."""
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
        with part_of(target) as part:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}; make room or name another --out, then pull again"
        raise DatasetError(str(target), problem) from error


def _fetch(file: OfficialFile, base_url: str, patience: Patience) -> bytes:
    """The file's content, which has the pinned sum."""
    url = base_url + quote(file.path)
    failures = 0
    while True:
        try:
            data = _get(url, file.bytes, patience)
        except _TransientError as trouble:
            failures += 1
            if failures >= patience.tries:
                raise DatasetError(
                    url,
                    f"{trouble.problem} ({failures} tries); pull again later: what has come stays, and only the rest "
                    "is fetched. A mirror can be named with --base-url",
                ) from trouble
            patience.sleep(patience.wait_s(failures, trouble.asked_s))
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
            f"{digest if len(data) <= file.bytes else 'another sum'}; it was not written. A mirror has to hold the "
            "pinned commit; without one, look for a proxy that changes what passes through",
        )


def _get(url: str, size: int, patience: Patience) -> bytes:
    """One try: the body, or what of it shows that it is longer than *size*."""
    opener = urllib.request.build_opener(_SameScheme())
    request = urllib.request.Request(url, headers={"User-Agent": "muses-eval"})  # noqa: S310 - checked_base_url
    deadline = patience.clock() + patience.file_timeout_s
    try:
        with opener.open(request, timeout=patience.timeout_s) as response:
            return _body(response, size, lambda: patience.clock() > deadline)
    except HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except (InvalidURL, ValueError) as error:
        raise DatasetError(url, f"cannot be asked for: {error}; correct --base-url") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLCertVerificationError):
            problem = f"the server's certificate is not trusted: {reason.verify_message}"
            raise DatasetError(url, f"{problem}; SSL_CERT_FILE names further authorities") from error
        raise _TransientError(f"no whole answer: {reason or type(reason).__name__}") from error


def _body(response: HTTPResponse, size: int, late: Callable[[], bool]) -> bytes:
    announced = response.length
    body = bytearray()
    while len(body) <= size and (chunk := response.read1(_CHUNK)):
        body += chunk
        if late():
            raise _TransientError(f"too slow: {len(body)} of {size} bytes when the time was up")
    if announced is not None and len(body) < min(announced, size):
        raise _TransientError(f"cut off after {len(body)} of {announced} bytes")
    return bytes(body)


def _refusal(url: str, error: HTTPError) -> Exception:
    said = f"the server answers {error.code} {error.reason}"
    if error.code in _TRANSIENT_STATUSES:
        asked = error.headers.get("Retry-After", "")
        return _TransientError(said, float(asked) if asked.isascii() and asked.isdigit() else 0.0)
    return DatasetError(
        url, f"{said}; expected the file. Correct --base-url, or leave it out for the public repository"
    )


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http, nor to anything that is not the web."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's signature
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Raises DatasetError for another scheme."""
        scheme = urlsplit(newurl).scheme
        if scheme != req.type:
            fp.close()
            raise DatasetError(
                req.full_url,
                f"redirected to {newurl}, from {req.type} to {scheme}; correct --base-url to its real place",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)
