"""Cost of the web integrations: a request with and without them, by turns in one process.

    scripts/bench web [--quick]

The program prints a table and writes it to benchmarks/RESULTS.md. A request passes through the
application as a call, without a server and sockets; impressions wait in the queue and are not sent.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse as FastText
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from measure import by_turns
from report import keep, machine
from run_instructions import AGENT, ON_DEVICE, UnresponsiveTransport
from targetry import AsyncTargetClient
from targetry.contrib.asgi import AsgiTarget
from targetry.contrib.fastapi import Target, TargetMiddleware

TITLE = "# Web integrations"
UNUSED_US, OFFER_US = 5, 60
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


def applications(client: AsyncTargetClient) -> dict[str, tuple[App, App]]:
    """Return of each framework an application without and one with the middleware."""
    with_starlette, with_fastapi = starlette(), fastapi()
    for app in (with_starlette, with_fastapi):
        app.add_middleware(TargetMiddleware, client=client)
    return {
        "ASGI": (asgi, AsgiTarget(asgi, client)),
        "Starlette": (starlette(), with_starlette),
        "FastAPI": (fastapi(), with_fastapi),
    }


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


async def rows(seconds: float) -> list[str]:
    client = await AsyncTargetClient.create(
        **ON_DEVICE,
        transport=UnresponsiveTransport(),
        notification_queue_limit=1,
        telemetry_enabled=False,
    )
    found = []
    for name, (bare, app) in applications(client).items():
        calls = {
            "unused": request(app, "/plain"),
            "offer": request(app, "/offer"),
            "bare": request(bare, "/plain"),
        }
        timings = by_turns(calls, {"size": 8, "seconds": seconds})
        base = timings["bare"]["best_us"]
        unused, offer = (timings[one]["best_us"] - base for one in ("unused", "offer"))
        found.append(
            f"| {name} | {base:.1f} | {unused:.1f} {mark(unused, UNUSED_US)} | {offer:.1f} {mark(offer, OFFER_US)} "
            f"| {timings['unused']['ratio']:.2f}× | {timings['offer']['ratio']:.2f}× |"
        )
    await client.aclose(0)
    return found


def mark(value: float, goal: float) -> str:
    return "✓" if value <= goal else "✗"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure a tenth of the time, and keep nothing")
    quick = parser.parse_args().quick
    table = asyncio.run(rows(0.8 if quick else 8.0))
    text = "\n".join(
        [
            TITLE,
            "",
            f"Made by `scripts/bench web` on {machine()}.",
            "",
            "A request in µs of processor time, and what the middleware adds: to a request that does not use it, and to one with an offer",
            "that is decided on device, cookies read and set. The ratios are medians of the turns.",
            "",
            f"| Framework | bare | unused (≤ {UNUSED_US}) | offer (≤ {OFFER_US}) | unused, ratio | offer, ratio |",
            "| --- | --- | --- | --- | --- | --- |",
            *table,
        ]
    )
    print(text)
    if not quick:
        keep(text)


if __name__ == "__main__":
    main()
