"""Sites of Django, under WSGI and ASGI, for the table of cases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path

from contrib.cases import HOST, MBOX, PAGES, Answer, context_body, page_body, web_options
from targetry import AsyncTargetClient, TargetClient
from targetry.contrib.django import (
    AsyncBoundTarget,
    BoundTarget,
    current_target,
    get_sync_target,
    get_target,
)
from targetry.edge.in_process import LocalEdge, edge

MIDDLEWARE = "targetry.contrib.django.TargetMiddleware"
PEER = "10.0.0.9"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=[HOST],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        MIDDLEWARE=[MIDDLEWARE],
        SECRET_KEY="of tests",
        TEMPLATES=[],
        USE_TZ=True,
    )
    django.setup()


class DjangoSite:
    """Site of Django, asked by its test client, or as an ASGI application."""

    def __init__(self, edge: LocalEdge, client: Any, *, asgi: bool) -> None:
        self.edge, self.client, self._asgi = edge, client, asgi

    def get(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        return ask(path, headers, method, asgi=self._asgi)

    def stats(self) -> Any:
        flushed = self.client.flush(10)
        assert asyncio.run(flushed) if isinstance(self.client, AsyncTargetClient) else flushed
        return self.client.stats()


def ask(path: str, headers: Mapping[str, str], method: str = "GET", *, asgi: bool = False) -> Answer:
    """Return the response to a request by https; an exception of the page is a 500."""
    if asgi:
        return asyncio.run(_ask_async(path, headers, method))
    given = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    browser = Client(raise_request_exception=False)
    response: Any = browser.generic(method, path, secure=True, HTTP_HOST=HOST, REMOTE_ADDR=PEER, **given)
    body = response.getvalue()
    cookies = [("set-cookie", one.OutputString()) for one in response.cookies.values()]
    return Answer(response.status_code, [*response.items(), *cookies], body.decode())


async def _ask_async(path: str, headers: Mapping[str, str], method: str) -> Answer:
    """Call the ASGI application, since the asynchronous test client sends two hosts and cookies."""
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "scheme": "https",
        "path": path,
        "query_string": query.encode(),
        "headers": [
            (name.encode(), value.encode("latin-1")) for name, value in {"host": HOST, **headers}.items()
        ],
        "client": (PEER, 4711),
        "server": (HOST, 443),
    }
    received: list[Any] = [{"type": "http.request"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop() if received else await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await ASGIHandler()(scope, receive, send)
    start, *rest = sent
    body = b"" if method == "HEAD" else b"".join(one.get("body", b"") for one in rest)
    answered = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], answered, body.decode())


@contextmanager
def django_site(
    pages: type, *, asgi: bool, middleware: Sequence[str] = (MIDDLEWARE,)
) -> Iterator[DjangoSite]:
    """Run the pages over a client of an edge of its own.

    Args:
        pages: `SyncUrls` or `AsyncUrls`.
        asgi: Whether requests come by ASGI.
        middleware: The setting `MIDDLEWARE`.
    """
    with edge() as here:
        options = here.client_options(decisioning_method="on-device", telemetry_enabled=False)
        client = asyncio.run(create(options)) if asgi else TargetClient.create(**options)
        setting = {"client": client, "WEB": web_options(header)}
        try:
            with override_settings(TARGETRY=setting, ROOT_URLCONF=pages, MIDDLEWARE=middleware):
                yield DjangoSite(here, client, asgi=asgi)
        finally:
            if isinstance(client, AsyncTargetClient):
                asyncio.run(client.aclose(2))
            else:
                client.close(2)


async def create(options: dict[str, Any]) -> AsyncTargetClient:
    return await AsyncTargetClient.create(**options)


def header(request: HttpRequest, name: str) -> str | None:
    return request.headers.get(name)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Return a response that decides while it is sent."""
    if isinstance(request, ASGIRequest):
        return StreamingHttpResponse(_async_parts(get_target(request)))
    return StreamingHttpResponse(_parts(get_sync_target(request)))


def _parts(target: BoundTarget) -> Iterator[str]:
    yield "first "
    yield str(target.offer(MBOX))


async def _async_parts(target: AsyncBoundTarget) -> AsyncIterator[str]:
    yield "first "
    yield str(await target.offer(MBOX))


async def _async_part(content: str) -> AsyncIterator[str]:
    yield content


def stream_of(request: HttpRequest, content: object) -> StreamingHttpResponse:
    """Return a response that sends what was decided before."""
    parts = _async_part(str(content)) if isinstance(request, ASGIRequest) else iter([str(content)])
    return StreamingHttpResponse(parts)


class Sync:
    """Pages of synchronous views, by the paths of `PAGES`."""

    @staticmethod
    def offer(request: Any) -> HttpResponse:
        target = request.target
        assert isinstance(target, BoundTarget)
        assert current_target() is target
        return JsonResponse(page_body(target.offer(MBOX), target))

    @staticmethod
    def unused(request: Any) -> HttpResponse:
        return HttpResponse("unused")

    @staticmethod
    def context(request: Any) -> HttpResponse:
        return JsonResponse(context_body(request.target))

    @staticmethod
    def missing(request: Any) -> HttpResponse:
        request.target.offer(MBOX)
        return HttpResponse("missing", status=404)

    @staticmethod
    def failing(request: Any) -> HttpResponse:
        request.target.offer(MBOX)
        return HttpResponse("failing", status=500)

    @staticmethod
    def raising(request: Any) -> HttpResponse:
        request.target.offer(MBOX)
        raise RuntimeError("the page fails")

    @staticmethod
    def redirect(request: Any) -> HttpResponse:
        request.target.offer(MBOX)
        return HttpResponseRedirect("/offer")

    @staticmethod
    def stream_before(request: Any) -> StreamingHttpResponse:
        return stream_of(request, request.target.offer(MBOX))

    @staticmethod
    def stream_in(request: Any) -> StreamingHttpResponse:
        return stream(request)

    @staticmethod
    def remembered(request: Any) -> StreamingHttpResponse:
        request.target.remember()
        return stream(request)

    @staticmethod
    def static_app(request: Any) -> HttpResponse:
        assert not hasattr(request, "target")
        return HttpResponse("static")


class Async:
    """The same pages of asynchronous views."""

    @staticmethod
    async def offer(request: Any) -> HttpResponse:
        target = request.target
        assert isinstance(target, AsyncBoundTarget)
        assert current_target() is target
        return JsonResponse(page_body(await target.offer(MBOX), target))

    @staticmethod
    async def unused(request: Any) -> HttpResponse:
        return HttpResponse("unused")

    @staticmethod
    async def context(request: Any) -> HttpResponse:
        await request.target.ready()
        return JsonResponse(context_body(request.target))

    @staticmethod
    async def missing(request: Any) -> HttpResponse:
        await request.target.offer(MBOX)
        return HttpResponse("missing", status=404)

    @staticmethod
    async def failing(request: Any) -> HttpResponse:
        await request.target.offer(MBOX)
        return HttpResponse("failing", status=500)

    @staticmethod
    async def raising(request: Any) -> HttpResponse:
        await request.target.offer(MBOX)
        raise RuntimeError("the page fails")

    @staticmethod
    async def redirect(request: Any) -> HttpResponse:
        await request.target.offer(MBOX)
        return HttpResponseRedirect("/offer")

    @staticmethod
    async def stream_before(request: Any) -> StreamingHttpResponse:
        return stream_of(request, await request.target.offer(MBOX))

    @staticmethod
    async def stream_in(request: Any) -> StreamingHttpResponse:
        return stream(request)

    @staticmethod
    async def remembered(request: Any) -> StreamingHttpResponse:
        request.target.remember()
        return stream(request)

    @staticmethod
    async def static_app(request: Any) -> HttpResponse:
        assert not hasattr(request, "target")
        return HttpResponse("static")


def _urls(pages: Any) -> list[Any]:
    name = {one: one.strip("/").replace("-", "_").replace("/", "_") for one in PAGES}
    return [path(one.lstrip("/"), getattr(pages, name[one])) for one in PAGES]


class SyncUrls:
    urlpatterns = _urls(Sync)


class AsyncUrls:
    urlpatterns = _urls(Async)


class SyncMiddleware:
    """Middleware that Django runs in a thread, with everything outside of it."""

    def __init__(self, get_response: Any) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self._get_response(request)
