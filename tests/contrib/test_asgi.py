"""ASGI middleware: its client, WebSockets, other middleware, many visitors at once."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature.transaction_context import (
    ContextVarsTransactionContextPropagator,
    set_transaction_context_propagator,
)
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from openfeature import api
from support.cases import each_case
from support.web import ORGANIZATION, Reports, async_client, options
from targetry import AsyncTargetClient, OptionError, TargetClient
from targetry.contrib import current_target
from targetry.contrib.asgi import AsgiTarget, SharedAnswer, target_of
from targetry.contrib.starlette import TargetMiddleware, get_sync_target, get_target
from targetry.testing import edge
from targetry.web.bound import AsyncBoundTarget
from targetry.web.consent import Consent

FAR = 4_000_000_000
LIVING = f"mbox=session#s1#{FAR}|PC#p1#{FAR}"
COOKIE = {"cookie": LIVING}


def browse(
    *routes: Any, client: Any, around: Callable[[Starlette], None] | None = None, **web: Any
) -> TestClient:
    app = Starlette(routes=list(routes))
    app.add_middleware(TargetMiddleware, client=client, **web)
    if around is not None:
        around(app)
    return TestClient(app, "https://shop.example.com", raise_server_exceptions=False)


async def offer(request: Request) -> Response:
    return PlainTextResponse(str(await request.state.target.offer("hero")))


async def unused(request: Request) -> Response:
    return PlainTextResponse("unused")


# End of a request


async def call(app: ASGIApp) -> None:
    """Make one request."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None: ...

    await app(scope, receive, send)


async def answer(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_request_is_freed_without_the_garbage_collector(client: TargetClient) -> None:
    found: list[weakref.ref[AsyncBoundTarget]] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        target = target_of(scope)
        found.append(weakref.ref(target))
        await target.offer("hero")
        await answer(send)

    gc.disable()
    try:
        asyncio.run(call(AsgiTarget(page, client)))
        assert found[0]() is None
    finally:
        gc.enable()


def test_target_is_first_used_after_the_end_of_its_request(client: TargetClient) -> None:
    kept: list[AsyncBoundTarget] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["agreed"] = True
        kept.append(target_of(scope))
        await answer(send)

    async def use_later() -> tuple[Consent, Any]:
        await call(AsgiTarget(page, client, consent=lambda scope: scope["state"]["agreed"]))
        return await kept[0].ready(), await kept[0].offer("hero")

    consent, content = asyncio.run(use_later())
    assert (consent, content is None) == (Consent.GRANTED, False)


# Client


@each_case("wrong", [None, "acme", 5, object()])
def test_anything_else_is_no_client(wrong: Any) -> None:
    with pytest.raises(OptionError, match="client: must be a client or a mapping"):
        AsgiTarget(Starlette(), wrong)


def test_options_of_the_client_are_checked_at_the_start() -> None:
    with pytest.raises(OptionError, match="timeout"):
        AsgiTarget(Starlette(), options(timeout="soon"))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="cookies"):
        AsgiTarget(Starlette(), options(), cookies="often")  # type: ignore[arg-type, typeddict-item]
    with pytest.raises(TypeError, match="cokies"):
        AsgiTarget(Starlette(), options(), cokies="used")  # type: ignore[arg-type, call-arg]


def test_blocking_client_of_the_api_is_refused() -> None:
    with (
        TargetClient.create(client="acme", organization_id=ORGANIZATION) as client,
        pytest.raises(OptionError, match="would block the event loop"),
    ):
        AsgiTarget(Starlette(), client)


def test_client_of_options_lives_as_long_as_the_application(reports: Reports) -> None:
    seen = []

    async def page(request: Request) -> Response:
        seen.append(request.state.target.client)
        return await offer(request)

    browser = browse(Route("/", page), client=options(send_notification_func=reports))
    with browser:
        assert "hero" in browser.get("/").text
        browser.get("/")
        (first, second) = seen
        assert isinstance(first, AsyncTargetClient)
        assert first is second
        assert not first._runtime.is_closed
    assert first._runtime.is_closed
    assert reports.mboxes == ["hero", "hero"]
    with browser:
        browser.get("/")
    assert seen[2] is not first


def test_client_of_options_is_made_once_without_lifespan() -> None:
    seen = []

    async def page(request: Request) -> Response:
        seen.append(request.state.target.client)
        return PlainTextResponse("")

    browser = browse(Route("/", page), client=options())
    threads = [threading.Thread(target=browser.get, args=("/",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert len(set(map(id, seen))) == 1
    asyncio.run(seen[0].aclose(0))


def test_client_that_was_given_is_not_closed(client: TargetClient) -> None:
    with browse(Route("/", offer), client=client) as browser:
        browser.get("/")
    assert not client._runtime.is_closed


def test_delivery_api_decides_with_the_same_visitor_again() -> None:
    with edge() as here:
        browser = browse(Route("/", offer), client=here.client_options(decisioning_method="server-side"))
        with browser:
            first, second = browser.get("/"), browser.get("/")
        events = here.events
    assert "hero" in first.text
    assert first.text == second.text
    assert len(events) == 2
    assert {(one.kind, one.visitor) for one in events} == {("impression", events[0].visitor)}
    assert f"PC#{events[0].visitor}" in second.headers["set-cookie"]


# Around and inside


async def save(request: Request) -> Response:
    return PlainTextResponse(str(await request.state.target.offer("hero")) * 50)


def varying(app: ASGIApp) -> ASGIApp:
    """Return a cache-like middleware that sets `Vary` of its own."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"vary", b"Accept-Language")]
            await send(message)

        await app(scope, receive, sent)

    return call


@pytest.mark.parametrize("outside", [True, False])
def test_gzip_around_or_inside_keeps_cookies_and_vary(client: TargetClient, outside: bool) -> None:
    app = Starlette(routes=[Route("/", save)])
    added = [(TargetMiddleware, {"client": client}), (GZipMiddleware, {})]
    for middleware, given in added if outside else reversed(added):
        app.add_middleware(middleware, **given)
    response = TestClient(app, "https://shop.example.com").get("/")
    assert response.headers["content-encoding"] == "gzip"
    assert "hero" in response.text
    assert {one.strip() for one in response.headers["vary"].split(",")} == {"Cookie", "Accept-Encoding"}
    assert response.headers["set-cookie"].startswith("mbox=")


@pytest.mark.parametrize("page", [offer, unused])
def test_vary_of_the_application_is_kept(client: TargetClient, page: Any) -> None:
    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(varying)
    app.add_middleware(TargetMiddleware, client=client)
    vary = TestClient(app).get("/").headers["vary"]
    assert vary == ("Accept-Language, Cookie" if page is offer else "Accept-Language")


def test_cookies_of_the_application_are_kept(client: TargetClient) -> None:
    async def page(request: Request) -> Response:
        response = await offer(request)
        response.set_cookie("own", "1")
        return response

    response = browse(Route("/", page), client=client).get("/")
    assert [one.partition("=")[0] for one in response.headers.get_list("set-cookie")] == ["own", "mbox"]


def test_not_modified_response_keeps_the_visitor(client: TargetClient) -> None:
    async def page(request: Request) -> Response:
        await request.state.target.offer("hero")
        return Response(status_code=304)

    response = browse(Route("/", page), client=client).get("/", headers=COOKIE)
    assert (response.status_code, response.headers["vary"]) == (304, "Cookie")
    assert "p1" in response.headers["set-cookie"]


def test_consent_reads_the_session_outside_of_it(client: TargetClient) -> None:
    def consent(connection: HTTPConnection) -> bool:
        return bool(connection.session.get("agreed"))

    async def agree(request: Request) -> Response:
        request.session["agreed"] = True
        return PlainTextResponse("")

    browser = browse(
        Route("/", offer),
        Route("/agree", agree),
        client=client,
        consent=consent,
        around=lambda app: app.add_middleware(SessionMiddleware, secret_key="secret"),
    )
    assert "mbox" not in browser.get("/").cookies
    browser.get("/agree")
    assert "mbox" in browser.get("/").cookies
    assert client.stats().web_faults == {}


def test_sub_application_has_the_same_visitor(client: TargetClient, reports: Reports) -> None:
    inner = Starlette(routes=[Route("/page", offer)])
    inner.add_middleware(TargetMiddleware, client=client)  # it is installed around this one already

    response = browse(Mount("/shop", inner), client=client).get("/shop/page", headers=COOKIE)
    assert len(response.headers.get_list("set-cookie")) == 1
    assert [one.context.address.url for one in reports] == ["https://shop.example.com/shop/page"]


def test_background_task_has_the_visitor_and_reports_at_once(client: TargetClient, reports: Reports) -> None:
    done = []

    async def later(target: AsyncBoundTarget) -> None:
        assert current_target() is target
        done.append((await target.offer("hero"), target.tnt_id))

    async def page(request: Request) -> Response:
        target = get_target(request)
        target.remember()
        return PlainTextResponse("", background=BackgroundTask(later, target))

    response = browse(Route("/", page), client=client).get("/")
    assert done[0][0]
    assert f"PC#{done[0][1]}#" in response.headers["set-cookie"]
    assert reports.mboxes == ["hero"]
    assert client.stats().web_faults == {}


def test_failing_background_task_keeps_the_impression(client: TargetClient, reports: Reports) -> None:
    async def fail() -> None:
        raise RuntimeError("the task fails")

    async def page(request: Request) -> Response:
        await request.state.target.offer("hero")
        return PlainTextResponse("", background=BackgroundTask(fail))

    browse(Route("/", page), client=client).get("/")
    assert (reports.mboxes, client.stats().notifications.dropped) == (["hero"], {})


def test_current_target_is_that_of_the_request_only(client: TargetClient) -> None:
    async def page(request: Request) -> Response:
        assert current_target() is request.state.target
        return PlainTextResponse("")

    assert current_target() is None
    assert browse(Route("/", page), client=client).get("/").status_code == 200
    assert current_target() is None


def test_missing_middleware_is_an_error_with_advice() -> None:
    with pytest.raises(LookupError, match="add the middleware"):
        target_of({"type": "http"})


def test_blocking_target_in_the_event_loop_is_an_error_with_advice() -> None:
    client = async_client()

    async def page(request: Request) -> Response:
        with pytest.raises(RuntimeError, match="was used in the event loop"):
            get_sync_target(request).get_offers(mboxes=["hero"])
        return PlainTextResponse("")

    assert browse(Route("/", page), client=client).get("/").status_code == 200
    asyncio.run(client.aclose(0))


# WebSockets


async def talk(websocket: WebSocket) -> None:
    target = get_target(websocket)
    if websocket.url.path == "/before":
        target.remember()
    if websocket.url.path == "/refused":
        await target.offer("hero")
        await websocket.close()
        return
    await websocket.accept()
    await websocket.send_text(str(await target.offer("hero")))
    await websocket.close()


@pytest.mark.parametrize(("path", "cookies"), [("/before", 1), ("/after", 0)])
def test_websocket_sets_cookies_when_it_is_accepted(
    client: TargetClient, reports: Reports, path: str, cookies: int
) -> None:
    browser = browse(WebSocketRoute(path, talk), client=client)
    with browser.websocket_connect(path, headers=COOKIE) as socket:
        assert "hero" in socket.receive_text()
        names = [name for name, _ in socket.extra_headers or ()]
    assert (names.count(b"set-cookie"), reports.mboxes) == (cookies, ["hero"])
    assert client.stats().web_faults == ({} if cookies else {"cookies": 1})


def test_refused_websocket_counts_no_impression(client: TargetClient, reports: Reports) -> None:
    browser = browse(WebSocketRoute("/refused", talk), client=client)
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/refused"):
        pass
    assert (reports.mboxes, client.stats().notifications.dropped) == ([], {"response": 1})


# Asynchronous consent


def test_asynchronous_consent_is_awaited_once(client: TargetClient) -> None:
    asked = []

    async def consent(connection: HTTPConnection) -> Consent:
        asked.append(connection.url.path)
        await asyncio.sleep(0)
        return Consent.GRANTED

    async def page(request: Request) -> Response:
        target = request.state.target
        contents = await asyncio.gather(*(target.offer("hero") for _ in range(5)))
        return JSONResponse([len(set(contents)), target.consent.value])

    response = browse(Route("/page", page), client=client, consent=consent).get("/page", headers=COOKIE)
    assert (response.json(), asked) == ([1, "granted"], ["/page"])


def test_asynchronous_consent_is_asked_from_a_thread(client: TargetClient) -> None:
    async def consent(connection: HTTPConnection) -> bool:
        return False

    def page(request: Request) -> Response:
        return PlainTextResponse(get_sync_target(request).offer("hero", "none"))

    response = browse(Route("/", page), client=client, consent=consent).get("/", headers=COOKIE)
    assert response.text == "none"
    assert response.headers["set-cookie"].startswith("mbox=; Max-Age=0")


def test_asynchronous_consent_that_raises_denies(client: TargetClient) -> None:
    async def consent(connection: HTTPConnection) -> bool:
        raise ConnectionError("the consent store is down")

    response = browse(Route("/", offer), client=client, consent=consent).get("/", headers=COOKIE)
    assert (response.text, client.stats().web_faults) == ("None", {"consent": 1})


def test_task_that_is_cancelled_does_not_cancel_the_answer_for_others() -> None:
    async def run() -> list[Any]:
        async def answer() -> int:
            await asyncio.sleep(0.01)
            return 5

        shared = SharedAnswer(answer())

        async def wait() -> int:
            result: int = await shared
            return result

        first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(first, second, return_exceptions=True)

    first, second = asyncio.run(run())
    assert isinstance(first, asyncio.CancelledError)
    assert second == 5


def test_answer_that_is_never_awaited_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    async def answer() -> None:
        return None

    SharedAnswer(answer())
    gc.collect()
    assert list(recwarn) == []


# OpenFeature


@pytest.fixture
def no_propagator() -> Iterator[None]:
    api.clear_transaction_context_propagator()
    yield
    api.clear_transaction_context_propagator()


@pytest.mark.usefixtures("no_propagator")
@pytest.mark.parametrize("propagator", [None, ContextVarsTransactionContextPropagator()])
def test_openfeature_has_the_visitor_of_the_request(client: TargetClient, propagator: Any) -> None:
    if propagator is not None:
        set_transaction_context_propagator(propagator)

    async def page(request: Request) -> Response:
        context = api.get_transaction_context()
        return JSONResponse([context.targeting_key, dict(context.attributes)])

    browser = browse(Route("/", page), client=client, openfeature=True)
    response = browser.get("/", headers={**COOKIE, "user-agent": "Firefox", "sec-ch-ua-platform": '"Linux"'})
    assert response.json() == [
        "p1",
        {
            "tntId": "p1",
            "sessionId": "s1",
            "userAgent": "Firefox",
            "clientHints": {"platform": "Linux"},
            "url": "https://shop.example.com/",
        },
    ]
    assert "mbox" in response.cookies
    assert api.get_transaction_context().targeting_key is None


@pytest.mark.usefixtures("no_propagator")
@pytest.mark.parametrize("consent", [False, Consent.ANONYMOUS])
def test_openfeature_has_no_visitor_without_consent(client: TargetClient, consent: Any) -> None:
    async def page(request: Request) -> Response:
        return JSONResponse(api.get_transaction_context().targeting_key)

    browser = browse(Route("/", page), client=client, openfeature=True, consent=lambda _: consent)
    assert browser.get("/", headers=COOKIE).json() is None


# Many visitors


@pytest.mark.parametrize("kind", ["loop", "threads"])
def test_no_id_is_in_the_response_of_another_visitor(kind: str, reports: Reports) -> None:
    async def page(request: Request) -> Response:
        target = get_target(request)
        await target.offer("hero")
        await asyncio.sleep(0)
        await target.get_offers(mboxes=["hero"])
        return PlainTextResponse(target.tnt_id or "")

    def threaded(request: Request) -> Response:
        target = get_sync_target(request)
        target.offer("hero")
        target.get_offers(mboxes=["hero"])
        return PlainTextResponse(target.tnt_id or "")

    client = async_client(send_notification_func=reports)
    app = Starlette(routes=[Route("/", page if kind == "loop" else threaded)])
    app.add_middleware(TargetMiddleware, client=client)

    async def visit(n: int) -> None:
        messages: list[Any] = []
        cookie = f"mbox=session#s{n}#{FAR}|PC#p{n}#{FAR}" if n % 4 else ""
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"cookie", cookie.encode())],
            "scheme": "https",
            "server": ("shop.example.com", 443),
        }

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        await app(scope, receive, send)
        start, body = messages[0], messages[1]["body"].decode()
        (set_cookie,) = (value.decode() for name, value in start["headers"] if name == b"set-cookie")
        assert re.search(r"PC#([^#]+)#", set_cookie)[1] == body  # type: ignore[index]
        if n % 4:
            assert (body, f"session#s{n}#" in set_cookie) == (f"p{n}", True)

    async def visit_all() -> None:
        await asyncio.gather(*(visit(n) for n in range(200)))
        await client.aclose(0)

    asyncio.run(visit_all())
    assert len({one.id.tnt_id for one in reports}) == 200
    assert len(reports) == 400
