"""The HTTP client of a provider, with connections that are kept open.

A request returns a whole response, or raises a ModelFailure: ``timeout``, ``transport`` (no connection, or a broken
one) or ``server`` (:class:`OversizedResponse`).  The response is not interpreted here.

Text from a server is untrusted: before it is shown, it is bounded, put on one line and cleared of secrets.  The key,
the values of a gateway's headers and a proxy's password are never printed or raised.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING

from muses_eval.pipeline.errors import ModelFailure
from muses_eval.pipeline.proxy import Proxy, proxy_for
from muses_eval.pipeline.text.credential_masking import mask_credentials, mask_found

if TYPE_CHECKING:
    import aiohttp

MAX_RESPONSE_BYTES = 32 * 2**20
_KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn (vLLM) closes idle connections: a request must not meet a closing one."""
_HEADER_BYTES = 2**16
"""Longest header of a response; gateways send policies of more than the 8 KiB that the library accepts by itself."""
_COMMENTS = re.compile(rb"\A(?:\s*+:[^\r\n]*+[\r\n])++")
"""Comments of a stream before JSON, which gateways send to keep a connection open."""
_SHOWN_CHARS = 300
_KEY_CHARS = 8
"""Least length of a secret that is removed from the model's text.  Shorter keys, as local servers often have, are words
that may occur in any text."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP response, read fully."""

    status: int
    headers: Mapping[str, str]
    """Response headers; names are case-insensitive."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets in the headers of requests, which a server or a gateway may repeat."""

    values: tuple[str, ...] = field(default=(), repr=False)
    """The longest first, since one may be part of another."""

    @classmethod
    def of(cls, api_key: str | None, header_values: Iterable[str]) -> "Secrets":
        """Returns the key, the values of other headers, and their words, such as the token after ``Bearer``."""
        values = list(header_values)
        words = [word for value in values for word in value.split() if len(word) >= _KEY_CHARS]
        found = {*values, *words, *(() if api_key is None else (api_key,))} - {""}
        return cls(tuple(sorted(found, key=lambda value: (-len(value), value))))

    def mask(self, text: str) -> str:
        """Returns a text of the server, for messages, without the secrets and without other credentials."""
        return mask_credentials(_without(self.values, text))[0]

    def mask_reply(self, text: str) -> str:
        """Returns a text of the model without the secrets that are too long to be words of it."""
        return _without([value for value in self.values if len(value) >= _KEY_CHARS], text)


def _without(values: Iterable[str], text: str) -> str:
    """Returns *text* without the values, however they are escaped in it."""
    return mask_found(text, lambda reading: _spans(values, reading), "[key]")[0]


def _spans(values: Iterable[str], text: str) -> Iterator[tuple[int, int]]:
    for value in values:
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + len(value))


class OversizedResponse(ModelFailure):
    """The body of a response is larger than the client accepts."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the requests of a client besides their time."""

    response_bytes: int
    connect_s: float | None = None
    """Longest time in which a connection is opened; None bounds only the whole request."""


class HttpClient:
    """The connections to the servers of one model.

    Args:
        name: name of the model, for messages.
        headers: headers of every request.
        secrets: the secrets in the headers, which are never shown.
        environ: environment variables that name proxies (:mod:`muses_eval.pipeline.proxy`).
        bounds: bounds of its requests; None for those of a model.
    """

    def __init__(
        self,
        name: str,
        headers: Mapping[str, str],
        secrets: Secrets,
        environ: Mapping[str, str],
        bounds: Bounds | None = None,
    ) -> None:
        self._name, self._headers, self.secrets, self._environ = name, headers, secrets, environ
        self._bounds = bounds or Bounds(MAX_RESPONSE_BYTES)
        self._proxies: dict[str, Proxy | None] = {}
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, base_url: str, path: str, body: bytes | None, timeout_s: float | None
    ) -> HttpResponse:
        """Sends one request and returns the whole response; with *timeout_s* None, the caller bounds its time.

        Failures are raised ``from None``, because the client library's own errors hold the request with its headers,
        and so the key.
        """
        import aiohttp

        proxy = self._proxy(base_url)
        secret = None if proxy is None or proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
        tunnelled = base_url.startswith("https:")  # only the proxy reads the header of CONNECT, and not the server
        try:
            async with self._open_session().request(
                method,
                base_url + path,
                data=body,
                headers=None if tunnelled else secret,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._bounds.connect_s),
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=secret if tunnelled else None,
            ) as response:
                return HttpResponse(response.status, response.headers, await self._read(response, base_url))
        except aiohttp.ConnectionTimeoutError:
            waited = f"{self._bounds.connect_s or timeout_s:g} s"
            raise ModelFailure("timeout", f"{self.label(base_url)}: no connection within {waited}") from None
        except TimeoutError:
            waited = f"{timeout_s:g} s"
            raise ModelFailure("timeout", f"{self.label(base_url)} gave no full answer within {waited}") from None
        except (aiohttp.ClientError, OSError) as error:
            text = self.sanitize(str(error)) or "no details"
            raise ModelFailure("transport", f"{self.label(base_url)}: {type(error).__name__}: {text}") from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def label(self, base_url: str) -> str:
        """Returns the name of the model and its address, for messages."""
        return f"{self._name} at {base_url}"

    def sanitize(self, text: str) -> str:
        """Returns text from a server in a form fit for a log: one line, bounded, and without secrets."""
        text = self.secrets.mask(text)
        return " ".join(well_formed(text[: 2 * _SHOWN_CHARS]).split())[:_SHOWN_CHARS]

    async def _read(self, response: "aiohttp.ClientResponse", base_url: str) -> bytes:
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._bounds.response_bytes:
                problem = f"{self.label(base_url)} sent a body larger than {self._bounds.response_bytes >> 20} MiB"
                raise OversizedResponse("server", problem)
            chunks.append(chunk)
        return b"".join(chunks)

    def _proxy(self, base_url: str) -> Proxy | None:
        if base_url not in self._proxies:
            self._proxies[base_url] = proxy_for(base_url, self._environ)
        return self._proxies[base_url]

    def _open_session(self) -> "aiohttp.ClientSession":
        """Returns the session, which is opened on first use because it belongs to the running event loop."""
        if self._session is None:
            import aiohttp

            # limit=0: the account's limit bounds the calls in flight; a second bound would only hide waiting.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
            )
        return self._session


def well_formed(text: str) -> str:
    """Returns *text* with every lone surrogate replaced by U+FFFD, so that it can be encoded, stored and hashed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def read_json(response: HttpResponse) -> object:
    """Returns the JSON of a response; in the character set of its header when it is not in UTF-8, as JSON has to be.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    body = _COMMENTS.sub(b"", response.body, count=1)
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        header = Message()
        header["Content-Type"] = response.headers.get("Content-Type", "")
        try:
            return json.loads(body.decode(header.get_content_charset("utf-8")))
        except LookupError:  # an unknown character set
            raise ValueError("unknown character set") from None


def excerpt(body: bytes) -> str:
    """Returns the beginning of an unexpected body, for messages, which shorten it further."""
    text = body[: 16 * _SHOWN_CHARS].decode(errors="replace")
    if text.lstrip().startswith("<"):
        return "an HTML page"
    return text if text.strip() else "an empty body"
