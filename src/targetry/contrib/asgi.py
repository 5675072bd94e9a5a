"""ASGI middleware: the visitor of each request, in `scope["state"]["target"]`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import Any, Unpack
from urllib.parse import quote

from msgspec.structs import replace

from targetry.contrib.client_source import ClientInput, ClientSource
from targetry.contrib.current import CURRENT
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.options import OfRequest, WebOptions, WebSettings, web_settings
from targetry.web.request import READ_HEADERS, WRITTEN_HEADERS, merged_vary
from targetry.web.visit import FAILED_STATUS, Visit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

KEY = "target"
_HEADERS = {name.encode(): name for name in READ_HEADERS}
_WRITTEN = {name: name.lower().encode() for name in WRITTEN_HEADERS}
_DECISIVE = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHING = 101  # of a WebSocket that is accepted


class AsgiTarget:
    """Middleware for any ASGI application.

    It gives each HTTP request and WebSocket a target, sets its cookies and `Vary`, and sends the
    impressions once the response has started. An application reads it by `get_target(scope)`.

    Args:
        app: The application.
        client: An `AsyncTargetClient`, a `TargetClient` that decides on device, or a mapping of
            client options. The client of options is made when the application starts, or at the
            first request, and closed when the application ends.
        **options: Options of the integration; see `targetry.web.options.WebOptions`.

    Raises:
        OptionError: An option is wrong; `path` names it.
        TypeError: There is no such option.
        MissingExtraError: `openfeature` is on, and its SDK is not installed.
    """

    def __init__(self, app: AsgiApplication, client: ClientInput, **options: Unpack[WebOptions]) -> None:
        self._app = app
        settings = share_consent(web_settings(options))
        if settings.openfeature:
            import targetry.contrib.openfeature_context  # noqa: F401  its absence is an error at the start
        self._settings: WebSettings = settings
        self._source = ClientSource(client, settings, asynchronous=True)

    def make_request(self, scope: Scope) -> Any:
        """Return the request that the functions among the options are given."""
        return scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(scope, receive, send)
            return
        settings = self._settings
        if kind not in ("http", "websocket") or (settings.exclude and settings.is_excluded(scope["path"])):
            await self._app(scope, receive, send)
            return
        visits = self._source.visits
        if visits is None:
            visits = await asyncio.to_thread(self._source.open)
        state = scope.setdefault("state", {})
        outer = state.get(KEY)
        if outer is not None and isinstance(outer, AsyncBoundTarget) and outer.client is visits.client:
            await self._app(scope, receive, send)  # a middleware around this one does it all
            return
        request = AsgiRequest(scope, self.make_request)
        visit = Visit(visits, request)
        target = state[KEY] = AsyncBoundTarget(visit)

        async def respond(message: Message) -> None:
            if not visit.is_settled and message["type"] in _DECISIVE:
                if visit.needs_headers:
                    headers = _Headers(message)
                    if visit.consent is None:
                        await target.respond(headers)
                    else:
                        target._write_headers(headers)
                    message = headers.message
                visit.settle(message.get("status", _SWITCHING))
            await send(message)

        token = CURRENT.set(target)
        try:
            if settings.openfeature:
                await self._serve_openfeature(target, visit, scope, receive, respond)
            else:
                await self._app(scope, receive, respond)
        finally:
            CURRENT.reset(token)
            if not visit.is_settled:
                visit.settle(FAILED_STATUS)
            request.end()

    async def _serve_openfeature(
        self, target: AsyncBoundTarget, visit: Visit, scope: Scope, receive: Receive, send: Send
    ) -> None:
        from targetry.contrib.openfeature_context import reset_context, set_context

        await target.ready()
        before = set_context(visit)
        try:
            await self._app(scope, receive, send)
        finally:
            if before is not None:
                reset_context(before)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the client before the application starts, and close it after it has ended."""

        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup" and self._source.visits is None:
                await asyncio.to_thread(self._source.open)
            return message

        async def sent(message: Message) -> None:
            if message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await asyncio.to_thread(self._source.close)
            await send(message)

        await self._app(scope, received, sent)


class AsgiRequest:
    """Request of an ASGI scope, as visits read it."""

    __slots__ = ("_headers", "_make_request", "loop", "scope")

    def __init__(self, scope: Scope, make_request: Callable[[Scope], Any]) -> None:
        self.scope = scope
        self.loop = asyncio.get_running_loop()
        self._make_request = make_request
        self._headers: dict[str, tuple[str, ...]] | None = None

    def end(self) -> None:
        """Keep a scope that does not hold the target: a cycle would outlive the request."""
        scope = self.scope = dict(self.scope)
        state = scope.get("state", {})
        scope["state"] = {name: state[name] for name in state if name != KEY} if len(state) > 1 else {}

    @property
    def original(self) -> Any:
        """Request that the functions among the options are given."""
        return self._make_request(self.scope)

    @property
    def is_secure(self) -> bool:
        return self.scope.get("scheme") in ("https", "wss")

    @property
    def host(self) -> str:
        values = self.headers.get("host")
        if values:
            return values[0]
        server = self.scope.get("server")
        return "" if not server else f"{server[0]}:{server[1]}" if server[1] else str(server[0])

    @property
    def url(self) -> str:
        scope = self.scope
        raw_path = scope.get("raw_path")
        path = raw_path.decode("latin-1") if raw_path else quote(scope["path"])
        query = scope.get("query_string", b"").decode("latin-1")
        return f"{scope.get('scheme', 'http')}://{self.host}{path}{'?' if query else ''}{query}"

    @property
    def peer(self) -> str | None:
        client = self.scope.get("client")
        return client[0] if client else None

    @property
    def headers(self) -> dict[str, tuple[str, ...]]:
        headers = self._headers
        if headers is None:
            headers = {}
            for key, value in self.scope["headers"]:
                if key in _HEADERS:
                    name, text = _HEADERS[key], value.decode("latin-1")
                    headers[name] = (*headers[name], text) if name in headers else (text,)
            self._headers = headers
        return headers


class _Headers:
    """Headers of a message that starts a response; the message is copied."""

    def __init__(self, message: Message) -> None:
        self._headers = list(message.get("headers", ()))
        self.message = {**message, "headers": self._headers}

    def add(self, name: str, value: str) -> None:
        self._headers.append((_WRITTEN[name], value.encode("latin-1")))

    def vary(self, name: str) -> None:
        old = [one for one in self._headers if one[0].lower() == b"vary"]
        merged = merged_vary([value.decode("latin-1") for _, value in old], name) if old else name
        if merged is not None:
            for one in old:
                self._headers.remove(one)
            self.add("Vary", merged)


def target_of(scope: Scope) -> AsyncBoundTarget:
    """Return the target of a connection.

    Raises:
        LookupError: The middleware is not installed, or its option `exclude` has the path.
    """
    target = scope.get("state", {}).get(KEY)
    if isinstance(target, AsyncBoundTarget):
        return target
    raise LookupError("this request has no target: add the middleware, or take the path out of exclude")


def blocking_target_of(scope: Scope) -> BoundTarget:
    """Return the target of a connection for code in another thread than its loop's.

    Raises:
        LookupError: As `target_of`.
    """
    target = target_of(scope)
    request = target._visit.request
    assert isinstance(request, AsgiRequest)
    return target.blocking(partial(_wait_in, request.loop))


def _wait_in(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable in the loop, and wait for it here.

    Raises:
        RuntimeError: This is the loop's own thread, which would wait for itself.
    """
    try:
        is_own_loop = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_own_loop = False
    if is_own_loop:
        if iscoroutine(awaitable):
            awaitable.close()
        raise RuntimeError("a synchronous target was used in the event loop: await an asynchronous one")
    return asyncio.run_coroutine_threadsafe(awaited(awaitable), loop).result()


async def awaited(awaitable: Awaitable[Any]) -> Any:
    """Return the result of an awaitable, where a coroutine is needed."""
    return await awaitable


def share_consent(settings: WebSettings) -> WebSettings:
    """Let several tasks await the answer of an asynchronous option `consent`."""
    if settings.consent is None:
        return settings
    return replace(settings, consent=partial(_evaluate_consent, settings.consent))


def _evaluate_consent(consent: OfRequest, request: Any) -> Any:
    answer = consent(request)
    return SharedAnswer(answer) if isawaitable(answer) else answer


class SharedAnswer:
    """Awaitable that several tasks await; one that is cancelled does not cancel it for others."""

    __slots__ = ("_awaitable", "_task")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self._task: asyncio.Future[Any] | None = None

    def __await__(self) -> Any:
        if self._task is None:
            self._task = asyncio.ensure_future(self._awaitable)
        return asyncio.shield(self._task).__await__()

    def __del__(self) -> None:
        close = getattr(self._awaitable, "close", None)
        if self._task is None and close is not None:
            close()  # nothing has asked: a coroutine that was never awaited warns
