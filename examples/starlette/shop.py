"""A small shop on Starlette; Adobe Target decides its home page, its feed and its chat."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from targetry import ClientOptions, samples
from targetry.contrib.starlette import Consent, TargetMiddleware, get_sync_target, get_target

CHOICES = {"all": Consent.GRANTED, "necessary": Consent.ANONYMOUS}
CHOICE_SECONDS = 180 * 24 * 3600


def client_options() -> ClientOptions:
    """Return options of a client: of the sample rules, or of an edge that `TARGET_EDGE` names."""
    options: ClientOptions = {
        "client": "acme",
        "organization_id": "0123456789ABCDEF01234567@AdobeOrg",
        "decisioning_method": "on-device",
    }
    edge = os.environ.get("TARGET_EDGE")
    if edge is None:
        return {
            **options,
            "artifact_payload": samples.shop(),
            "polling_interval": 0,
            "send_notification_func": lambda impression: None,
        }
    return {**options, "server_domain": edge, "cdn_base_path": f"http://{edge}", "secure": False}


def consent(connection: HTTPConnection) -> Consent:
    """Return what the visitor has chosen; denied until there is a choice."""
    return CHOICES.get(connection.cookies.get("choice", ""), Consent.DENIED)


def parameters(connection: HTTPConnection) -> dict[str, str]:
    """Return what the rules may ask about the visitor."""
    return {"member.tier": connection.query_params.get("tier", "none"), "user": "Ada"}


async def home(request: Request) -> HTMLResponse:
    """Show the home page."""
    offers = await get_target(request).offers("hero", "greeting")
    return HTMLResponse(offers.get("hero", "<h1>Welcome</h1>") + offers.get("greeting", ""))


async def feed(request: Request) -> StreamingResponse:
    """Show the home page as a stream: the visitor is remembered before it starts."""
    target = get_target(request)
    target.remember()

    async def parts() -> AsyncIterator[str]:
        yield "<!doctype html><title>Shop</title>"
        yield await target.offer("hero", default="<h1>Welcome</h1>")

    return StreamingResponse(parts(), media_type="text/html")


def checkout(request: Request) -> JSONResponse:
    """Return how the checkout works for this visitor; this endpoint runs in a thread."""
    return JSONResponse({"one_click": get_sync_target(request).flag("checkout-flags:oneClick", False)})


async def chat(websocket: WebSocket) -> None:
    """Greet the visitor over a WebSocket."""
    target = get_target(websocket)
    greeting = await target.offer("greeting", default="Hello")
    await websocket.accept()
    await websocket.send_text(greeting)
    await websocket.close()


async def choose(request: Request) -> RedirectResponse:
    """Keep the visitor's choice."""
    response = RedirectResponse("/", status_code=303)
    choice = request.path_params["choice"]
    response.set_cookie("choice", choice, max_age=CHOICE_SECONDS, samesite="lax", httponly=True)
    return response


app = Starlette(
    routes=[
        Route("/", home),
        Route("/feed", feed),
        Route("/checkout", checkout),
        Route("/consent/{choice}", choose, methods=["POST"]),
        WebSocketRoute("/chat", chat),
    ],
    middleware=[
        Middleware(GZipMiddleware),
        Middleware(TargetMiddleware, client=client_options(), consent=consent, parameters=parameters),
    ],
)
