"""One HTTP exchange after another with a provider, over connections that are kept open.

What comes back is a whole response, or a ModelFailure: ``timeout``, ``transport`` (no connection, or one that broke) or
``server`` (a body without end).  What the response means is for others.

Server text is untrusted: it is bounded, put on one line and cleared of the key before anyone sees it.  The key and a
proxy's password live here and in nothing that is printed or raised.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from muses_eval.pipeline.errors import ConfigError, ModelFailure

if TYPE_CHECKING:
    import aiohttp

MAX_RESPONSE_BYTES = 32 * 2**20
_KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which uvicorn (vLLM) closes idle connections: a request must not meet a closing one."""
_SHOWN_CHARS = 300
_KEY_CHARS = 8
"""Anything shorter is a word that may stand in any text; local servers are often given one as their key."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP response, read fully."""

    status: int
    headers: Mapping[str, str]
    """Looked up in any case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Proxy:
    """What stands between us and a server."""

    url: str
    authorization: str | None
    """The header that it wants."""


class HttpClient:
    """The connections to the servers of one model.

    Args:
        name: of the model, for messages.
        headers: of every request.
        key: what is never shown; it stands in one of the headers.
        environ: where the proxies of this machine are named (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
    """

    def __init__(self, name: str, headers: Mapping[str, str], key: str | None, environ: Mapping[str, str]) -> None:
        self._name, self._headers, self._key, self._environ = name, headers, key, environ
        self._proxies: dict[str, Proxy | None] = {}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: str, base_url: str, path: str, body: bytes | None, timeout_s: float) -> HttpResponse:
        """One request and its whole response.

        Failures are raised ``from None``: the client library's own errors hold the request with its headers, and so
        the key.
        """
        import aiohttp

        proxy = self._proxy(base_url)
        secret = None if proxy is None or proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
        tunnelled = base_url.startswith("https:")  # then the proxy reads its own request only, and the server not that
        try:
            async with self._open_session().request(
                method,
                base_url + path,
                data=body,
                headers=None if tunnelled else secret,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=secret if tunnelled else None,
            ) as response:
                return HttpResponse(response.status, response.headers, await self._read(response, base_url))
        except TimeoutError:
            raise ModelFailure("timeout", f"{self.at(base_url)} gave no full answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            text = self.safe(str(error)) or "no details"
            raise ModelFailure("transport", f"{self.at(base_url)}: {type(error).__name__}: {text}") from None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def at(self, base_url: str) -> str:
        """Names the server and model in messages."""
        return f"{self._name} at {base_url}"

    def safe(self, text: str) -> str:
        """Text of a server, fit for a log: one line, bounded, without the key in case the server repeats it."""
        if self._key is not None:
            text = text.replace(self._key, "[key]")
        return " ".join(well_formed(text[: 2 * _SHOWN_CHARS]).split())[:_SHOWN_CHARS]

    def keyless(self, text: str) -> str:
        """Text of the model without the key, which a gateway may have put before it."""
        key = self._key
        return text if key is None or len(key) < _KEY_CHARS else text.replace(key, "[key]")

    async def _read(self, response: "aiohttp.ClientResponse", base_url: str) -> bytes:
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                problem = f"{self.at(base_url)} sent no completion: its body is larger than"
                raise ModelFailure("server", f"{problem} {MAX_RESPONSE_BYTES >> 20} MiB")
            chunks.append(chunk)
        return b"".join(chunks)

    def _proxy(self, base_url: str) -> Proxy | None:
        if base_url not in self._proxies:
            self._proxies[base_url] = proxy_for(base_url, self._environ)
        return self._proxies[base_url]

    def _open_session(self) -> "aiohttp.ClientSession":
        """Opened on first use, since it belongs to the event loop in which it is made."""
        if self._session is None:
            import aiohttp

            # limit=0: the account's limit bounds the calls in flight; a second bound would only hide waiting.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
            self._session = aiohttp.ClientSession(
                connector=connector, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for *url* as the environment names it, in small letters or capitals; None: there is none.

    This machine is never reached through one.  Not left to the HTTP library, which would search the environment for
    each request, and read a .netrc that is none of our business.

    Raises:
        ConfigError: the proxy is of a kind that we cannot use.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    name = f"{parts.scheme}_proxy"
    proxy = environ.get(name) or environ.get(name.upper()) or ""
    spared = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if not proxy or _is_among(host, spared):
        return None
    try:
        found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = f":{found.port}" if found.port else ""
    except ValueError:
        found, port = urlsplit(""), ""
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ConfigError(  # not shown: it may hold a password
            f"{name.upper()} in the environment is no address of an HTTP proxy, such as http://proxy.example:3128; "
            f"correct it, or name {host} in NO_PROXY"
        )
    address = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    return Proxy(urlunsplit((found.scheme, address + port, "", "", "")), _basic(found.username, found.password))


def _is_among(host: str, names: str) -> bool:
    """Whether NO_PROXY names a host: itself, the domain in which it lies, or ``*``; ports are not looked at."""
    listed = (name.strip().partition(":")[0].removeprefix("*").removeprefix(".").lower() for name in names.split(","))
    return "*" in names.split(",") or any(name and (host == name or host.endswith(f".{name}")) for name in listed)


def _basic(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    secret = f"{unquote(user)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(secret.encode()).decode()


def well_formed(text: str) -> str:
    """*text* with every lone surrogate replaced by U+FFFD, so that it can be encoded, stored and hashed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def excerpt(body: bytes) -> str:
    """The beginning of a body that is not what it should be, for messages; longer than what of it is shown."""
    text = body[: 16 * _SHOWN_CHARS].decode(errors="replace")
    if text.lstrip().startswith("<"):
        return "an HTML page"
    return text if text.strip() else "an empty body"
