"""Who may use the server: the layer of the application that every request passes first.

In this order: the request names one of the server's own hosts; no foreign site sent it
(:mod:`muses_eval.dashboards.web.request_origin`); with a token, the visitor has signed in, or a program sends
``Authorization: Bearer TOKEN``.  So a handler of a POST request can rely on these checks.  A visitor without a session
gets the sign-in form in place of the page, and after signing in the page, so links to pages can be shared.  Every
response has the security headers.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from muses_eval.dashboards.web.access_token import SESSION_S, AccessToken
from muses_eval.dashboards.web.form import BadFormError, read_form
from muses_eval.dashboards.web.page import Page
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.request_origin import SAFE_METHODS, host_name, is_foreign, is_own_host
from muses_eval.dashboards.web.sign_in_attempts import SignInAttempts
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PUBLIC = "/static/"
"""Path of the style and the script of the pages, which the sign-in form needs; they contain nothing about the store."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, browsers would send `Origin: null` with the forms of the pages themselves.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Who may use a server."""

    token: AccessToken | None = None
    """None admits everyone who reaches the server."""
    host_names: frozenset[str] = frozenset()
    """Names of the server besides ``localhost`` and addresses, in lower case."""


class AccessControl:
    """An ASGI application that passes permitted requests on to another one.

    Args:
        app: the other application.
        rules: who may use it.
        clock: seconds since 1970.
    """

    def __init__(self, app: ASGIApp, rules: AccessRules, clock: Callable[[], float] = time.time) -> None:
        self._app, self._rules, self._clock = app, rules, clock
        self._attempts = SignInAttempts(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # start and stop of the server; there are no websockets
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        response = await self._response(Request(scope, receive)) or self._app
        await response(scope, receive, send_with_headers)

    async def _response(self, request: Request) -> Response | None:
        """Returns the response to a request that is not passed on; None for one that is."""
        refused = self._foreign_request(request)
        token = self._rules.token
        if refused is not None or token is None or request.url.path.startswith(_PUBLIC):
            return refused
        match request.method, request.url.path.lstrip("/"):
            case "POST", "sign-in":
                return await self._sign_in(request, token)
            case "POST", "sign-out":
                response = RedirectResponse("./", 303)
                response.delete_cookie(token.cookie_name, httponly=True, samesite="lax")
                return response
            case _:
                return self._without_session(request, token)

    def _without_session(self, request: Request, token: AccessToken) -> Response | None:
        """Returns the sign-in form, or for programs a text; None for a visitor or a program that is admitted."""
        if token.admits(request.cookies.get(token.cookie_name, ""), self._clock()):
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return _ask_for_token(request)
        refused = self._refused(request, token, given.strip())
        return None if refused is None else PlainTextResponse(f"{refused}\n", 401, {"WWW-Authenticate": "Bearer"})

    def _foreign_request(self, request: Request) -> Response | None:
        headers = request.headers
        names = headers.getlist("host")
        name = host_name(names[0]) if len(names) == 1 else None
        if name is None:
            return PlainTextResponse("400: the request names no host, or none that can be read\n", 400)
        if not is_own_host(name, self._rules.host_names):
            return PlainTextResponse(
                f"421: this dashboard does not know itself by the name {name}.\n"
                f"Open it by its address, or start it with: muses dashboard serve --host-name {name}\n",
                421,
            )
        if is_foreign(request.method, headers):
            return PlainTextResponse(
                "403: another site sent this request, so it was not carried out.\n"
                "Open the page and use its own forms. Behind a proxy, let the proxy pass on the header Host.\n",
                403,
            )
        return None

    async def _sign_in(self, request: Request, token: AccessToken) -> Response:
        try:
            form = await read_form(request)
        except BadFormError as error:
            return PlainTextResponse(f"400: {error}\n", 400)
        target = form.get("next", "")
        refused = self._refused(request, token, form.get("token", "").strip())
        if refused is not None:
            return _form("", target, refused)
        response = RedirectResponse(f"./{target}", 303)  # relative, so it leads to this server whatever the form says
        response.set_cookie(
            token.cookie_name,
            token.new_session(self._clock()),
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _refused(self, request: Request, token: AccessToken, given: str) -> str | None:
        """Returns why this token does not admit; None when it does.  Counts the failure."""
        client = request.client.host if request.client else ""
        if wait := self._attempts.wait_s(client):
            return f"Too many attempts; try again in {wait} s."
        if token.matches(given):
            return None
        self._attempts.record_failure(client)
        return "This is not the token of this dashboard."


def _ask_for_token(request: Request) -> Response:
    path = quote(request.url.path.lstrip("/"))
    if "text/html" not in request.headers.get("accept", ""):
        text = "401: this dashboard needs its access token: send it as Authorization: Bearer TOKEN\n"
        return PlainTextResponse(text, 401, {"WWW-Authenticate": "Bearer"})
    query = f"?{request.url.query}" if request.url.query and request.method in SAFE_METHODS else ""
    return _form(request.url.path.lstrip("/"), path + query)


def _form(path: str, target: str, problem: str = "") -> Response:
    """Returns the sign-in form in place of the page at *path*; *target*: where to go then, relative to the root."""
    page = Page("Sign in", "sign_in.html", {"target": target, "problem": problem})
    return HTMLResponse(render(page, path, live=True), 401)
