"""The pages over HTTP: read-only, one process, no request to anywhere else.

Bound to anything but loopback it admits only who has the token: once as ``?token=…``, from then on by a cookie.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from muses_eval.dashboards.web.page import NoSuchPageError, Page
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import find
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError
from starlette.concurrency import run_in_threadpool

COOKIE = "muses-dashboard"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
STATIC = {"style.css": "text/css", "site.js": "text/javascript", "icon.svg": "image/svg+xml"}


def make_app(cache: StoreCache, token: str | None = None) -> FastAPI:
    """The server's application.  *token*: who does not show it is refused; None: everybody is admitted."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request) if token is None else await _admitted(request, token, answer)
        response.headers.update(HEADERS)
        return response

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            return Response(status_code=404)
        return Response(asset(name), media_type=STATIC[name])

    @app.get("/{path:path}")
    async def page(path: str, request: Request) -> Response:
        return await run_in_threadpool(_answer, cache, path, dict(request.query_params))

    return app


def asset(name: str) -> bytes:
    """A file of ``static/``."""
    return (files("muses_eval.dashboards.web") / "static" / name).read_bytes()


def _answer(cache: StoreCache, path: str, query: Mapping[str, str]) -> Response:
    path = f"{path}index.html" if not path or path.endswith("/") else path
    try:
        page = find(cache, path, query)
        return HTMLResponse(render(page, path, live=True, lost=cache.lost(page.run_id)))
    except NoSuchPageError as error:
        return _trouble(path, "Not found", str(error), 404)
    except MusesError as error:
        return _trouble(path, "The store cannot be read", str(error), 503)


def _trouble(path: str, title: str, problem: str, status: int) -> Response:
    page = Page(title, "error.html", {"problem": problem})
    return HTMLResponse(render(page, path, live=True), status)


async def _admitted(request: Request, token: str, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    shown = request.query_params.get("token")
    if shown is not None and secrets.compare_digest(shown.encode(), token.encode()):
        response: Response = RedirectResponse(request.url.remove_query_params("token"), 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response
    if secrets.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
        return await answer(request)
    return Response("This dashboard needs its token: open it once with ?token=…\n", 401, media_type="text/plain")
