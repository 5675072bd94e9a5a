"""Cost of the web integrations: a request with and without them, by turns in one process.

    scripts/bench web [--quick]

The program prints a table and writes it to benchmarks/RESULTS.md. A request passes through the
application as a call, without a server and sockets; impressions wait in the queue and are not sent.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from io import BytesIO
from typing import Any, NamedTuple

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse as FastText
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from measure import by_turns
from report import keep, machine
from run_instructions import AGENT, ON_DEVICE, UnresponsiveTransport
from targetry import (
    AsyncTargetClient,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    TargetClient,
    VisitorId,
)
from targetry.contrib.asgi import AsgiTarget
from targetry.contrib.django import get_sync_target
from targetry.contrib.fastapi import Target, TargetMiddleware
from targetry.contrib.flask import Target as FlaskTarget
from targetry.contrib.flask import target

TITLE = "# Web frameworks"
UNUSED_US, OFFER_US = 5, 60  # of ASGI
UNUSED_RATIO = 1.10  # of a WSGI framework
COOKIE = b"theme=dark; mbox=session#s1#4000000000|PC#p1.35_0#4000000000"
HEADERS = [
    (b"host", b"shop.example.com"),
    (b"user-agent", AGENT.encode()),
    (b"accept", b"text/html,application/xhtml+xml"),
    (b"accept-language", b"de,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"referer", b"https://shop.example.com/"),
    (b"cookie", COOKIE),
]
OPTIONS: dict[str, Any] = {
    **ON_DEVICE,
    "transport": UnresponsiveTransport(),
    "notification_queue_limit": 1_000_000,  # a full queue would drop impressions, which costs more
    "telemetry_enabled": False,
}
TEXT = "x" * 180  # as long as the offer
App = Callable[..., Awaitable[None]]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer as an application without a framework."""
    text = TEXT
    if scope["path"] == "/offer":
        text = await scope["state"]["target"].offer("hero")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


def starlette() -> Starlette:
    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse(TEXT)

    async def offer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.state.target.offer("hero"))

    return Starlette(routes=[Route("/plain", plain), Route("/offer", offer)])


def fastapi() -> FastAPI:
    app = FastAPI()

    async def nothing(connection: HTTPConnection) -> None: ...

    @app.get("/plain", dependencies=[Depends(nothing)])
    async def plain() -> FastText:
        return FastText(TEXT)

    @app.get("/offer")
    async def offer(target: Target) -> FastText:
        return FastText(await target.offer("hero"))

    return app


class Calls(NamedTuple):
    """Requests of one framework: without the integration, with it unused, and with an offer."""

    bare: Callable[[], object]
    unused: Callable[[], object]
    offer: Callable[[], object]


def asgi_calls(client: AsyncTargetClient) -> dict[str, Calls]:
    """Return the requests of each ASGI framework."""
    with_starlette, with_fastapi = starlette(), fastapi()
    for app in (with_starlette, with_fastapi):
        app.add_middleware(TargetMiddleware, client=client)
    applications: dict[str, tuple[App, App]] = {
        "ASGI": (asgi, AsgiTarget(asgi, client)),
        "Starlette": (starlette(), with_starlette),
        "FastAPI": (fastapi(), with_fastapi),
    }
    return {
        name: Calls(request(bare, "/plain"), request(app, "/plain"), request(app, "/offer"))
        for name, (bare, app) in applications.items()
    }


def wsgi_calls(client: TargetClient) -> dict[str, Calls]:
    """Return the requests of each WSGI framework."""
    with_flask = flask()
    FlaskTarget(with_flask, client=client)
    applications = {"Flask": (flask(), with_flask), "Django": django_handlers(client)}
    return {
        name: Calls(wsgi_request(bare, "/plain"), wsgi_request(app, "/plain"), wsgi_request(app, "/offer"))
        for name, (bare, app) in applications.items()
    }


def flask() -> Flask:
    app = Flask("shop")
    app.add_url_rule("/plain", "plain", lambda: TEXT)
    app.add_url_rule("/offer", "offer", lambda: target.offer("hero"))
    return app


def django_handlers(client: TargetClient) -> tuple[WSGIHandler, WSGIHandler]:
    """Return handlers without and with the middleware; each reads the settings when it is made."""

    def plain(request: HttpRequest) -> HttpResponse:
        return HttpResponse(TEXT)

    def offer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(get_sync_target(request).offer("hero"))

    class Urls:
        urlpatterns = (path("plain", plain), path("offer", offer))

    settings.configure(
        ALLOWED_HOSTS=["shop.example.com"], MIDDLEWARE=[], ROOT_URLCONF=Urls, TARGETRY={"client": client}
    )
    django.setup()
    bare = WSGIHandler()
    settings.MIDDLEWARE = ["targetry.contrib.django.TargetMiddleware"]
    return bare, WSGIHandler()


def wsgi_request(app: Callable[..., Any], path: str) -> Callable[[], None]:
    """Return a call that takes a request through an application."""
    fields = {f"HTTP_{name.decode().upper().replace('-', '_')}": value.decode() for name, value in HEADERS}

    def start_response(status: str, headers: Any, error: Any = None) -> None:
        assert status == "200 OK"

    def call() -> None:
        environ = {
            **fields,
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "shop.example.com",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "203.0.113.7",
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(),
        }
        body = app(environ, start_response)
        b"".join(body)
        body.close()

    return call


def request(app: App, path: str) -> Callable[[], None]:
    """Return a call that takes a request through an application, which must not wait."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None: ...

    def call() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "https",
            "headers": HEADERS,
            "server": ("shop.example.com", 443),
            "client": ("203.0.113.7", 4711),
            "state": {},
        }
        run(app(scope, receive, send))  # type: ignore[arg-type]

    return call


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the application has waited")


def get_offers_us(seconds: float) -> float:
    """Return the time of the same offer by `get_offers`, a measure of the machine."""
    client = TargetClient.create(**OPTIONS)
    offers = DeliveryRequest(
        id=VisitorId(tnt_id="p1.35_0"),
        context=Context(channel="web", user_agent=AGENT),
        execute=ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)]),
    )
    turns = {"get_offers": lambda: client.get_offers(request=offers)}
    best: float = by_turns(turns, {"size": 8, "seconds": seconds})["get_offers"]["best_us"]
    client.close(0)
    return best


async def asgi_rows(seconds: float) -> list[str]:
    client = await AsyncTargetClient.create(**OPTIONS)
    found = [
        row(name, one, seconds, lambda added, _: added <= UNUSED_US)
        for name, one in asgi_calls(client).items()
    ]
    await client.aclose(0)
    return found


def wsgi_rows(seconds: float) -> list[str]:
    client = TargetClient.create(**OPTIONS)
    found = [
        row(name, one, seconds, lambda _, ratio: ratio <= UNUSED_RATIO)
        for name, one in wsgi_calls(client).items()
    ]
    client.close(0)
    return found


def row(name: str, calls: Calls, seconds: float, is_reached: Callable[[float, float], bool]) -> str:
    """Return the row of a framework.

    `is_reached` says whether what the unused integration adds, in µs and as a ratio, is its goal.
    """
    turns = {"unused": calls.unused, "offer": calls.offer, "bare": calls.bare}
    timings = by_turns(turns, {"size": 8, "seconds": seconds})
    base = timings["bare"]["best_us"]
    unused, offer = (timings[one]["best_us"] - base for one in ("unused", "offer"))
    ratio = timings["unused"]["ratio"]
    return (
        f"| {name} | {base:.1f} | {unused:.1f} | {ratio:.2f}× {mark(is_reached(unused, ratio))} "
        f"| {offer:.1f} {mark(offer <= OFFER_US)} | {timings['offer']['ratio']:.2f}× |"
    )


def mark(is_reached: bool) -> str:
    return "✓" if is_reached else "✗"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure a tenth of the time, and keep nothing")
    quick = parser.parse_args().quick
    seconds = 0.5 if quick else 5.0
    offers_us = get_offers_us(seconds / 5)
    table = asyncio.run(asgi_rows(seconds)) + wsgi_rows(seconds)
    text = "\n".join(
        [
            TITLE,
            "",
            f"Made by `scripts/bench web` on {machine()}.",
            "",
            "A request in µs of processor time, and what the middleware adds: to a request that does not use it, and to one with an offer",
            "that is decided on device, cookies read and set. The ratios are medians of the turns. Goals: unused at most",
            f"{UNUSED_US} µs (ASGI) or {UNUSED_RATIO:.2f}× (WSGI), an offer at most {OFFER_US} µs. Times depend on the machine: in this run",
            f"a call of `get_offers` for the same offer takes {offers_us:.1f} µs.",
            "",
            "| Framework | bare | unused | unused, ratio | offer | offer, ratio |",
            "| --- | --- | --- | --- | --- | --- |",
            *table,
        ]
    )
    print(text)
    if not quick:
        keep(text)


if __name__ == "__main__":
    main()
