"""Sites of Starlette and FastAPI for the table of cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI
from fastapi import Response as FastResponse
from fastapi.responses import StreamingResponse as FastStream
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from contrib.cases import HOST, MBOX, PAGES, Answer, context_body, page_body, web_options
from targetry import AsyncTargetClient
from targetry.contrib.fastapi import SyncTarget, Target
from targetry.contrib.starlette import TargetMiddleware, get_sync_target, get_target
from targetry.edge.in_process import LocalEdge, edge


class AsgiSite:
    """Site of an ASGI application, asked by the framework's test client."""

    def __init__(self, app: Any, edge: LocalEdge, client: AsyncTargetClient, browser: TestClient) -> None:
        self.app, self.edge, self.client, self.browser = app, edge, client, browser

    def get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        self.browser.cookies.clear()
        given = {name: value.encode("latin-1") for name, value in headers.items()}
        response = self.browser.request(method, path, headers=given, follow_redirects=False)
        return Answer(response.status_code, list(response.headers.multi_items()), response.text)

    def stats(self) -> Any:
        assert asyncio.run(self.client.flush(10))
        return self.client.stats()


@contextmanager
def asgi_site(build: Any, **web: Any) -> Iterator[AsgiSite]:
    """Run an application over a client of an edge of its own.

    Args:
        build: Takes the options of the middleware, and returns the application.
        **web: Options of the integration besides those of the table.
    """
    with edge() as here:
        options = here.client_options(decisioning_method="on-device", telemetry_enabled=False)
        client = asyncio.run(create(options))
        try:
            given = {**web_options(header), **web}
            app = build(client=client, **given)
            with TestClient(app, f"https://{HOST}", False, client=("10.0.0.9", 4711)) as browser:
                yield AsgiSite(app, here, client, browser)
        finally:
            asyncio.run(client.aclose(2))


async def create(options: dict[str, Any]) -> AsyncTargetClient:
    return await AsyncTargetClient.create(**options)


def header(connection: HTTPConnection, name: str) -> str | None:
    return connection.headers.get(name)


def routed(pages: Sequence[Any], options: dict[str, Any]) -> Starlette:
    """Return an application of endpoints in the order of `PAGES`."""
    app = Starlette(routes=[Route(path, page) for path, page in zip(PAGES, pages, strict=True)])
    app.add_middleware(TargetMiddleware, **options)
    return app


def starlette_site(**options: Any) -> Starlette:
    async def offer(request: Request) -> Response:
        target = get_target(request)
        return JSONResponse(page_body(await target.offer(MBOX), await ready(target)))

    async def unused(request: Request) -> Response:
        return PlainTextResponse("unused")

    async def context(request: Request) -> Response:
        return JSONResponse(context_body(await ready(get_target(request))))

    async def missing(request: Request) -> Response:
        await request.state.target.offer(MBOX)
        return PlainTextResponse("missing", 404)

    async def failing(request: Request) -> Response:
        await request.state.target.offer(MBOX)
        return PlainTextResponse("failing", 500)

    async def raising(request: Request) -> Response:
        await request.state.target.offer(MBOX)
        raise RuntimeError("the page fails")

    async def redirect(request: Request) -> Response:
        await request.state.target.offer(MBOX)
        return RedirectResponse("/offer", 302)

    async def before(request: Request) -> Response:
        content = await request.state.target.offer(MBOX)

        async def parts() -> AsyncIterator[str]:
            yield str(content)

        return StreamingResponse(parts())

    async def inside(request: Request) -> Response:
        if request.url.path == "/remembered":
            request.state.target.remember()

        async def parts() -> AsyncIterator[str]:
            yield "first "
            yield str(await request.state.target.offer(MBOX))

        return StreamingResponse(parts())

    async def static(request: Request) -> Response:
        assert not hasattr(request.state, "target")
        return PlainTextResponse("static")

    pages = (offer, unused, context, missing, failing, raising, redirect, before, inside, inside, static)
    return routed(pages, options)


async def ready(target: Any) -> Any:
    await target.ready()
    return target


def sync_starlette_site(**options: Any) -> Starlette:
    """Return the pages with endpoints that run in threads."""

    def offer(request: Request) -> Response:
        target = get_sync_target(request)
        return JSONResponse(page_body(target.offer(MBOX), target))

    def unused(request: Request) -> Response:
        return PlainTextResponse("unused")

    def context(request: Request) -> Response:
        return JSONResponse(context_body(get_sync_target(request)))

    def missing(request: Request) -> Response:
        get_sync_target(request).offer(MBOX)
        return PlainTextResponse("missing", 404)

    def failing(request: Request) -> Response:
        get_sync_target(request).offer(MBOX)
        return PlainTextResponse("failing", 500)

    def raising(request: Request) -> Response:
        get_sync_target(request).offer(MBOX)
        raise RuntimeError("the page fails")

    def redirect(request: Request) -> Response:
        get_sync_target(request).offer(MBOX)
        return RedirectResponse("/offer", 302)

    def before(request: Request) -> Response:
        content = get_sync_target(request).offer(MBOX)
        return StreamingResponse(iter([str(content)]))

    def inside(request: Request) -> Response:
        target = get_sync_target(request)
        if request.url.path == "/remembered":
            target.remember()

        def parts() -> Iterator[str]:
            yield "first "
            yield str(target.offer(MBOX))

        return StreamingResponse(parts())

    def static(request: Request) -> Response:
        assert not hasattr(request.state, "target")
        return PlainTextResponse("static")

    pages = (offer, unused, context, missing, failing, raising, redirect, before, inside, inside, static)
    return routed(pages, options)


def fastapi_site(**options: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(TargetMiddleware, **options)

    @app.get("/offer")
    @app.head("/offer")
    async def offer(target: Target) -> dict[str, Any]:
        return page_body(await target.offer(MBOX), target)

    @app.get("/unused")
    async def unused() -> str:
        return "unused"

    @app.get("/context")
    async def context(target: Target) -> dict[str, Any]:
        return context_body(await ready(target))

    @app.get("/missing")
    async def missing(target: Target, response: FastResponse) -> str:
        await target.offer(MBOX)
        response.status_code = 404
        return "missing"

    @app.get("/failing")
    async def failing(target: Target, response: FastResponse) -> str:
        await target.offer(MBOX)
        response.status_code = 500
        return "failing"

    @app.get("/raising")
    async def raising(target: Target) -> str:
        await target.offer(MBOX)
        raise RuntimeError("the page fails")

    @app.get("/redirect")
    async def redirect(target: Target) -> RedirectResponse:
        await target.offer(MBOX)
        return RedirectResponse("/offer", 302)

    @app.get("/stream-before")
    async def before(target: Target) -> FastStream:
        content = await target.offer(MBOX)

        async def parts() -> AsyncIterator[str]:
            yield str(content)

        return FastStream(parts())

    @app.get("/stream-in")
    @app.get("/remembered")
    async def inside(target: Target, request: Request) -> FastStream:
        if request.url.path == "/remembered":
            target.remember()

        async def parts() -> AsyncIterator[str]:
            yield "first "
            yield str(await target.offer(MBOX))

        return FastStream(parts())

    @app.get("/static/app")
    async def static(request: Request) -> str:
        assert not hasattr(request.state, "target")
        return "static"

    return app


def sync_fastapi_site(**options: Any) -> FastAPI:
    """Return the pages with `def` endpoints."""
    app = FastAPI()
    app.add_middleware(TargetMiddleware, **options)

    @app.get("/offer")
    @app.head("/offer")
    def offer(target: SyncTarget) -> dict[str, Any]:
        return page_body(target.offer(MBOX), target)

    @app.get("/unused")
    def unused() -> str:
        return "unused"

    @app.get("/context")
    def context(target: SyncTarget) -> dict[str, Any]:
        return context_body(target)

    @app.get("/missing")
    def missing(target: SyncTarget, response: FastResponse) -> str:
        target.offer(MBOX)
        response.status_code = 404
        return "missing"

    @app.get("/failing")
    def failing(target: SyncTarget, response: FastResponse) -> str:
        target.offer(MBOX)
        response.status_code = 500
        return "failing"

    @app.get("/raising")
    def raising(target: SyncTarget) -> str:
        target.offer(MBOX)
        raise RuntimeError("the page fails")

    @app.get("/redirect")
    def redirect(target: SyncTarget) -> RedirectResponse:
        target.offer(MBOX)
        return RedirectResponse("/offer", 302)

    @app.get("/stream-before")
    def before(target: SyncTarget) -> FastStream:
        return FastStream(iter([str(target.offer(MBOX))]))

    @app.get("/stream-in")
    @app.get("/remembered")
    def inside(target: SyncTarget, request: Request) -> FastStream:
        if request.url.path == "/remembered":
            target.remember()

        def parts() -> Iterator[str]:
            yield "first "
            yield str(target.offer(MBOX))

        return FastStream(parts())

    @app.get("/static/app")
    def static(request: Request) -> str:
        assert not hasattr(request.state, "target")
        return "static"

    return app
