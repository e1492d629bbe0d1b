"""Downloads one file over HTTP, with retries: the effect behind ``muses data pull``."""

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
from urllib.parse import urlsplit

from muses_eval.flows.data.partial_file import partial_file
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.loopback import names_proxy
from muses_eval.pipeline.proxy import proxy_for

_TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_CHUNK = 2**16


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


class _TransientError(Exception):
    """An error after which another attempt may succeed."""

    def __init__(self, problem: str, retry_after_s: float = 0.0) -> None:
        super().__init__(problem)
        self.problem, self.retry_after_s = problem, retry_after_s


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


def download(url: str, max_bytes: int, policy: DownloadPolicy) -> bytes:
    """Returns the content at *url*; of a longer one, at least ``max_bytes + 1`` bytes.  Retries transient errors.

    Raises:
        DatasetError: the server refuses, or every attempt failed.
        ConfigError: the proxy for *url* is not an HTTP proxy.
    """
    failures = 0
    while True:
        try:
            return _get(url, max_bytes, policy)
        except _TransientError as failure:
            failures += 1
            if failures >= policy.tries:
                raise DatasetError(
                    url,
                    f"{failure.problem} ({failures} tries); pull again later: complete files stay, and only the "
                    "others are downloaded. --base-url selects a mirror",
                ) from failure
            policy.sleep(policy.delay_s(failures, failure.retry_after_s))


def write_whole(target: Path, data: bytes) -> None:
    """Writes a file and its folders; the file is complete or absent.

    Raises:
        DatasetError: it cannot be written.
    """
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


def _get(url: str, max_bytes: int, policy: DownloadPolicy) -> bytes:
    """Returns the response body of one attempt; it stops reading once the body is longer than *max_bytes*."""
    proxy = proxy_for(url, os.environ)
    routes = {} if proxy is None else dict.fromkeys(("http", "https"), proxy.url_with_login)
    # Without variables, urllib looks for the proxy in the settings of the system.
    proxies = urllib.request.ProxyHandler(routes if names_proxy(os.environ) else None)
    opener = urllib.request.build_opener(proxies, _SameSchemeRedirects())
    request = urllib.request.Request(url, headers={"User-Agent": "muses-eval"})  # noqa: S310 - checked_base_url
    deadline = policy.clock() + policy.file_timeout_s
    try:
        with opener.open(request, timeout=policy.timeout_s) as response:
            return _body(response, max_bytes, lambda: policy.clock() > deadline)
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


def _body(response: HTTPResponse, max_bytes: int, is_late: Callable[[], bool]) -> bytes:
    content_length = response.length
    body = bytearray()
    while len(body) <= max_bytes and (chunk := response.read1(_CHUNK)):
        body += chunk
        if is_late():
            raise _TransientError(f"too slow: {len(body)} of at most {max_bytes} bytes after the timeout")
    if content_length is not None and len(body) < min(content_length, max_bytes):
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
