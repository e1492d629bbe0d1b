"""The HTTP server of the pages: read-only, one process, no requests to other hosts.

With a token, a visitor passes it once as ``?token=…``; a cookie holds it from then on.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from muses_eval.dashboards.web.page import NoSuchPageError, Page
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import find_page
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
    """Returns the ASGI application.

    Args:
        cache: the store to serve.
        token: access token that every request needs; None admits all requests.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request) if token is None else await _authorized(request, token, call_next)
        response.headers.update(HEADERS)
        return response

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            return Response(status_code=404)
        return Response(asset(name), media_type=STATIC[name])

    @app.get("/{path:path}")
    async def page(path: str, request: Request) -> Response:
        return await run_in_threadpool(_respond, cache, path, dict(request.query_params))

    return app


def asset(name: str) -> bytes:
    """Returns the content of a file in ``static/``."""
    return (files("muses_eval.dashboards.web") / "static" / name).read_bytes()


def _respond(cache: StoreCache, path: str, query_params: Mapping[str, str]) -> Response:
    path = f"{path}index.html" if not path or path.endswith("/") else path
    try:
        page = find_page(cache, path, query_params)
        return HTMLResponse(render(page, path, live=True, lost=cache.lost(page.run_id)))
    except NoSuchPageError as error:
        return _error(path, "Not found", str(error), 404)
    except MusesError as error:
        return _error(path, "The store cannot be read", str(error), 503)


def _error(path: str, title: str, problem: str, status: int) -> Response:
    page = Page(title, "error.html", {"problem": problem})
    return HTMLResponse(render(page, path, live=True), status)


async def _authorized(request: Request, token: str, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    given = request.query_params.get("token")
    if given is not None and secrets.compare_digest(given.encode(), token.encode()):
        response: Response = RedirectResponse(request.url.remove_query_params("token"), 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return response
    if secrets.compare_digest(request.cookies.get(COOKIE, "").encode(), token.encode()):
        return await call_next(request)
    return Response("This dashboard needs its token: open it once with ?token=…\n", 401, media_type="text/plain")
