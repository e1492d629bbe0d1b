"""The HTTP server of the pages: one process, no requests to other hosts.

:mod:`muses_eval.dashboards.web.access_control` decides who may use it.
"""

from collections.abc import Mapping
from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from muses_eval.dashboards.web.access_control import AccessControl, AccessRules
from muses_eval.dashboards.web.form import BadFormError, read_form
from muses_eval.dashboards.web.page import NoSuchPageError, Page, relative
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import find_page
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError
from starlette.concurrency import run_in_threadpool

STATIC = {"style.css": "text/css", "site.js": "text/javascript", "icon.svg": "image/svg+xml"}
OPEN = AccessRules()


def make_app(cache: StoreCache, rules: AccessRules = OPEN) -> FastAPI:
    """Returns the ASGI application.

    Args:
        cache: the store to serve.
        rules: who may use the server; by default everyone who reaches it, by an address or as ``localhost``.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(AccessControl, rules=rules)
    site = _Site(cache, signed_in=rules.token is not None)

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC:
            return Response(status_code=404)
        return Response(asset(name), media_type=STATIC[name])

    @app.get("/{path:path}")
    async def page(path: str, request: Request) -> Response:
        return await run_in_threadpool(site.respond, path, dict(request.query_params))

    @app.post("/{path:path}")
    async def posted(path: str, request: Request) -> Response:
        try:
            form = await read_form(request)
        except BadFormError as error:
            return site.error(path, "The form cannot be read", str(error), 400)
        return await run_in_threadpool(site.respond, path, dict(request.query_params), form)

    return app


def asset(name: str) -> bytes:
    """Returns the content of a file in ``static/``."""
    return (files("muses_eval.dashboards.web") / "static" / name).read_bytes()


class _Site:
    """Responds to requests with rendered pages."""

    def __init__(self, cache: StoreCache, *, signed_in: bool) -> None:
        self._cache, self._signed_in = cache, signed_in

    def respond(self, path: str, query_params: Mapping[str, str], form: Mapping[str, str] | None = None) -> Response:
        path = f"{path}index.html" if not path or path.endswith("/") else path
        try:
            page = find_page(self._cache, path, query_params, form, signed_in=self._signed_in)
            if page.is_done:
                return RedirectResponse(relative(path, path), 303)
            lost = self._cache.lost(page.run_id)
            return HTMLResponse(render(page, path, live=True, lost=lost, sign_out=self._signed_in))
        except NoSuchPageError as error:
            return self.error(path, "Not found", str(error), 404)
        except MusesError as error:
            return self.error(path, "The store cannot be read", str(error), 503)

    def error(self, path: str, title: str, problem: str, status: int) -> Response:
        page = Page(title, "error.html", {"problem": problem})
        return HTMLResponse(render(page, path, live=True, sign_out=self._signed_in), status)
