"""Django: middleware for synchronous and asynchronous views (extra `django`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from functools import lru_cache
from http.cookies import Morsel
from typing import Any, Final

from targetry._client.async_client import AsyncTargetClient
from targetry._runtime.lazy_import import importing_extra
from targetry.contrib.asgi import awaited, share_consent
from targetry.contrib.client_source import ClientSource
from targetry.contrib.current import CURRENT, current_target
from targetry.contrib.wsgi import headers_of
from targetry.errors import OptionError
from targetry.models.scalars import type_name
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent
from targetry.web.options import WebSettings, web_settings
from targetry.web.request import merged_vary
from targetry.web.visit import FAILED_STATUS, Visit, Visits

with importing_extra("django"):
    from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
    from django.conf import settings
    from django.core.exceptions import DisallowedHost, ImproperlyConfigured
    from django.core.handlers.asgi import ASGIRequest
    from django.core.signals import setting_changed
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from django.utils.module_loading import import_string

__all__ = [
    "AsyncBoundTarget",
    "BoundTarget",
    "Consent",
    "TargetMiddleware",
    "current_target",
    "get_sync_target",
    "get_target",
    "target",
]

_SETTING: Final = "TARGETRY"
_WEB: Final = "WEB"
_FUNCTIONS: Final = ("consent", "customer_ids", "parameters", "ip")
_KEY: Final = "target"
_MOST_HOSTS: Final = 256
_RAISED: Final = "_targetry_raised"

AnyTarget = BoundTarget | AsyncBoundTarget
GetResponse = Callable[[HttpRequest], Any]


class DjangoMiddleware:
    """Middleware of Django: `MIDDLEWARE += ["targetry.contrib.django.TargetMiddleware"]`.

    The target is `request.target`: awaited in asynchronous views, not awaited in others. The
    setting `TARGETRY` holds the options of the client, and those of the integration as `WEB`; see
    `targetry.web.options.WebOptions`. Its `client` can be a client, or a function that returns a
    client or a mapping of client options. A client of options is made once in a process, at the
    first request.

    Args:
        get_response: The next middleware, or the view.

    Raises:
        ImproperlyConfigured: The setting `TARGETRY` is absent, or has no such option.
        OptionError: An option is wrong; `path` names it, such as `TARGETRY.WEB.cookies`.
        MissingExtraError: `openfeature` is on, and its SDK is not installed.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        self._integration = _integration()
        self._integration.check(asynchronous=self._is_async)
        self.process_view: Callable[..., Any] = self._enter_view
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view = self._await_enter_view  # Django would call the other in a thread

    def __call__(self, request: HttpRequest) -> Any:
        """Answer one request."""
        if self._is_async:
            return self._answer_async(request)
        integration = self._integration
        if integration.settings.exclude and integration.settings.is_excluded(request.path):
            return self._get_response(request)
        source = integration.source(asynchronous=_is_asgi(request))
        return self._answer(request, source.visits or source.open())

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note that the view raised: a response that says so gets no cookies."""
        vars(request)[_RAISED] = True

    def _answer(self, request: HttpRequest, visits: Visits) -> HttpResponseBase:
        response: HttpResponseBase
        if _is_entered(request, visits):
            response = self._get_response(request)
            return response
        own = DjangoRequest(request)
        visit = Visit(visits, own)
        bound = BoundTarget(visit, _wait)
        token = _enter(request, bound)
        try:
            if self._integration.settings.openfeature:
                bound.ready()
                with _openfeature(visit):
                    response = self._get_response(request)
            else:
                response = self._get_response(request)
            if visit.needs_headers and not _is_failure(request, response):
                bound.respond(_Headers(response))
            visit.settle(response.status_code)
        finally:
            _leave(own, visit, token)
        return response

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase
        visits = await self._visits_of(request)
        if visits is None or _is_entered(request, visits):
            response = await self._get_response(request)
            return response
        own = DjangoRequest(request)
        visit = Visit(visits, own)
        bound = AsyncBoundTarget(visit)
        token = _enter(request, bound)
        try:
            if self._integration.settings.openfeature:
                await bound.ready()
                with _openfeature(visit):
                    response = await self._get_response(request)
            else:
                response = await self._get_response(request)
            if visit.needs_headers and not _is_failure(request, response):
                await bound.respond(_Headers(response))
            visit.settle(response.status_code)
        finally:
            _leave(own, visit, token)
        return response

    async def _visits_of(self, request: HttpRequest) -> Visits | None:
        """Return the maker of visits; None for a path that is excluded."""
        if self._integration.settings.is_excluded(request.path):
            return None
        source = self._integration.source(asynchronous=True)
        return source.visits or await asyncio.to_thread(source.open)

    def _enter_view(self, request: HttpRequest, view: Any, args: Any, keywords: Any) -> None:
        """Give the view the target that it can call."""
        bound = vars(request).get(_KEY)
        if bound is None:
            return
        is_async = iscoroutinefunction(view)
        if isinstance(bound, AsyncBoundTarget) != is_async:
            vars(request)[_KEY] = bound = get_target(request) if is_async else get_sync_target(request)
            CURRENT.set(bound)

    async def _await_enter_view(self, request: HttpRequest, view: Any, args: Any, keywords: Any) -> None:
        self._enter_view(request, view, args, keywords)


TargetMiddleware = DjangoMiddleware
"""The name that the setting `MIDDLEWARE` has."""


def get_target(request: HttpRequest) -> AsyncBoundTarget:
    """Return the target of a request for an asynchronous view.

    Raises:
        LookupError: The middleware is not installed, or its option `exclude` has the path.
    """
    bound = _target_of(request)
    return bound if isinstance(bound, AsyncBoundTarget) else AsyncBoundTarget(bound._visit)


def get_sync_target(request: HttpRequest) -> BoundTarget:
    """Return the target of a request for a synchronous view.

    Raises:
        LookupError: As `get_target`.
    """
    bound = _target_of(request)
    return bound if isinstance(bound, BoundTarget) else bound.blocking(_wait)


def target(request: HttpRequest) -> dict[str, BoundTarget]:
    """Return the variable `target` of templates: the synchronous target. A context processor.

    It is empty for a request without a target.
    """
    return {"target": get_sync_target(request)} if _KEY in vars(request) else {}


class DjangoRequest:
    """Request of Django, as visits read it."""

    __slots__ = ("_headers", "_scheme", "original")

    def __init__(self, request: HttpRequest) -> None:
        self.original: Any = request
        self._headers: dict[str, tuple[str]] | None = None
        self._scheme: str | None = None

    def end(self) -> None:
        """Keep a request that does not hold the target: a cycle would outlive both."""
        members = vars(self.original).copy()
        members.pop(_KEY, None)
        kind: Any = type(self.original)
        self.original = kind.__new__(kind)
        self.original.__dict__ = members

    @property
    def scheme(self) -> str:
        """Scheme as the settings have it, which Django reads for each call."""
        scheme = self._scheme
        if scheme is None:
            scheme = self._scheme = str(self.original.scheme)
        return scheme

    @property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @property
    def host(self) -> str:
        return _allowed_host(self.original)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}{self.original.get_full_path()}"

    @property
    def peer(self) -> str | None:
        peer: str | None = self.original.META.get("REMOTE_ADDR")
        return peer

    @property
    def headers(self) -> dict[str, tuple[str]]:
        headers = self._headers
        if headers is None:
            headers = self._headers = headers_of(self.original.META)
        return headers


_allowed_hosts: dict[tuple[str | None, str | None], str] = {}
_get_host: Final = HttpRequest.get_host


def _allowed_host(request: Any) -> str:
    """Return the host of a request; empty if the settings do not allow it.

    Django matches a host with the settings at each call. One that they allow is kept by the headers
    that name it, unless the application has a `get_host` of its own, which can read anything.
    """
    meta = request.META
    named = meta.get("HTTP_HOST"), meta.get("HTTP_X_FORWARDED_HOST")
    is_kept = named[0] is not None and getattr(request.get_host, "__func__", None) is _get_host
    if is_kept and (known := _allowed_hosts.get(named)) is not None:
        return known
    try:
        host = str(request.get_host())
    except DisallowedHost:
        return ""
    if is_kept:
        if len(_allowed_hosts) >= _MOST_HOSTS:
            _allowed_hosts.clear()
        _allowed_hosts[named] = host
    return host


class _Headers:
    """Headers of a response; cookies are those of Django, which other middleware keeps."""

    def __init__(self, response: HttpResponseBase) -> None:
        self._response = response

    def add(self, name: str, value: str) -> None:
        headers = self._response.headers
        if name == "Set-Cookie":
            cookie = _Cookie(value)
            self._response.cookies[cookie.key] = cookie
        elif name in headers:
            headers[name] = f"{headers[name]}, {value}"
        else:
            headers[name] = value

    def vary(self, name: str) -> None:
        headers = self._response.headers
        merged = merged_vary([headers["Vary"]] if "Vary" in headers else (), name)
        if merged is not None:
            headers["Vary"] = merged


class _Cookie(Morsel[str]):
    """Cookie of Django that keeps its `Set-Cookie` header until its value or an attribute changes.

    Django renders the cookies of each response, which takes longer than to decide an offer.
    """

    def __init__(self, text: str) -> None:
        pair, _, attributes = text.partition("; ")
        name, _, value = pair.partition("=")
        super().__init__()
        self.set(name, value, value)  # as it is: at.js reads no quoted value
        self._attributes = _cookie_attributes(attributes)
        dict.update(self, self._attributes)
        self._text, self._pair = text, (name, value)

    def OutputString(self, attrs: Any = None) -> str:  # noqa: N802
        """Return the header without its name; see `http.cookies.Morsel`."""
        is_unchanged = (self.key, self.coded_value) == self._pair and dict.__eq__(self, self._attributes)
        return self._text if attrs is None and is_unchanged else super().OutputString(attrs)

    def __reduce__(self) -> Any:
        """Pickle as a plain cookie, for caches that other programs read."""
        return Morsel, (), self.__getstate__(), None, iter(self.items())


@lru_cache(maxsize=64)
def _cookie_attributes(text: str) -> Morsel[str]:
    """Return a cookie without name and value that has the attributes of a `Set-Cookie` header."""
    pairs = (attribute.partition("=") for attribute in text.split("; "))
    given: dict[str, Any] = {key: value or True for key, _, value in pairs}
    cookie: Morsel[str] = Morsel()
    cookie.update(given)
    return cookie


class _Integration:
    """Value of the setting `TARGETRY`, checked, and the clients of this process."""

    def __init__(self, setting: Any) -> None:
        self.setting = setting
        if setting is None:
            raise ImproperlyConfigured(
                f"the setting {_SETTING} is absent: it holds the options of the client"
            )
        if not isinstance(setting, Mapping):
            raise OptionError(_SETTING, f"must be a mapping of options, not {type_name(setting)}")
        given = {**setting}
        self.settings: WebSettings = _web_settings(given.pop(_WEB, {}))
        self._client = _client_of(given)
        self._sources: dict[bool, ClientSource] = {}
        self._lock = threading.Lock()

    def check(self, *, asynchronous: bool) -> None:
        """Check the client at the start. Raises as `source`.

        Synchronous middleware serves ASGI too, if all inside of it is synchronous, so an
        asynchronous client can be right there.
        """
        if asynchronous or not isinstance(self._client, AsyncTargetClient):
            self.source(asynchronous=asynchronous)

    def source(self, *, asynchronous: bool) -> ClientSource:
        """Return the source of the client for requests by ASGI, or by WSGI.

        Raises:
            OptionError: An option of the client is wrong, or the client is of the wrong kind.
            ImproperlyConfigured: There is no such option of a client.
        """
        found = self._sources.get(asynchronous)
        if found is None:
            with self._lock, _prefixed(_SETTING):
                found = self._sources.get(asynchronous)
                if found is None:
                    found = ClientSource(self._client, self.settings, asynchronous=asynchronous)
                    self._sources[asynchronous] = found
        return found

    def close(self) -> None:
        """Close the clients that were made here."""
        for source in self._sources.values():
            source.close()


_current: list[_Integration] = []  # at most one: the test client makes middleware again and again
_making = threading.Lock()


def _integration() -> _Integration:
    """Return the integration of the current setting; all middleware of a process shares it."""
    setting = getattr(settings, _SETTING, None)
    with _making:
        if not _current or _current[0].setting is not setting:
            made = _Integration(setting)
            _current[:] = [made]
        return _current[0]


def _on_setting_changed(*, setting: str, **_: object) -> None:
    """Close the clients of a setting that a test has replaced."""
    _allowed_hosts.clear()
    if setting == _SETTING:
        with _making:
            old, _current[:] = _current[:], []
        for one in old:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                one.close()
            else:
                loop.run_in_executor(None, one.close)  # an asynchronous client is closed by its own loop


setting_changed.connect(_on_setting_changed, dispatch_uid="targetry.contrib.django")


def _web_settings(given: Any) -> WebSettings:
    path = f"{_SETTING}.{_WEB}"
    if not isinstance(given, Mapping):
        raise OptionError(path, f"must be a mapping of options, not {type_name(given)}")
    options = {**given}
    for name in _FUNCTIONS:
        value = options.get(name)
        if isinstance(value, str) and value != "auto":
            try:
                options[name] = import_string(value)
            except ImportError as error:
                raise OptionError(f"{path}.{name}", f"could not be imported: {error}") from error
    with _prefixed(path):
        checked = share_consent(web_settings(options))
    if checked.openfeature:
        import targetry.contrib.openfeature_context  # noqa: F401  its absence is an error at the start
    return checked


@contextmanager
def _openfeature(visit: Visit) -> Iterator[None]:
    from targetry.contrib.openfeature_context import reset_context, set_context

    before = set_context(visit)
    try:
        yield
    finally:
        if before is not None:
            reset_context(before)


def _client_of(given: dict[str, Any]) -> Any:
    """Return a client, or the options of one."""
    client = given.get("client")
    if isinstance(client, str) or client is None:
        return given
    others = ", ".join(map(repr, given.keys() - {"client"}))
    if others:
        raise OptionError(f"{_SETTING}.client", f"must be a client code, since there are options: {others}")
    return client() if callable(client) else client


@contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    """Put the name of the setting before the paths of wrong options, and before unknown ones."""
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{prefix}.{error.path}", error.reason) from error
    except TypeError as error:
        raise ImproperlyConfigured(f"{prefix}: {error}") from error


def _is_asgi(request: HttpRequest) -> bool:
    """Return whether a request came by ASGI; other middleware can make this one synchronous."""
    return isinstance(request, ASGIRequest)


def _is_entered(request: HttpRequest, visits: Visits) -> bool:
    """Return whether a middleware around this one does everything."""
    outer = vars(request).get(_KEY)
    return outer is not None and isinstance(outer, AnyTarget) and outer.client is visits.client


def _enter(request: HttpRequest, bound: AnyTarget) -> Token[AnyTarget | None]:
    """Give a request its target, and return what `_leave` needs."""
    vars(request)[_KEY] = bound
    return CURRENT.set(bound)


def _leave(own: DjangoRequest, visit: Visit, token: Token[AnyTarget | None]) -> None:
    """End a request; settle its visit if no response came."""
    CURRENT.reset(token)
    if not visit.is_settled:
        visit.settle(FAILED_STATUS)
    own.end()


def _is_failure(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether a response says that the view raised."""
    return response.status_code >= FAILED_STATUS and _RAISED in vars(request)


def _target_of(request: HttpRequest) -> AnyTarget:
    bound = vars(request).get(_KEY)
    if isinstance(bound, AnyTarget):
        return bound
    raise LookupError("this request has no target: add the middleware, or take the path out of exclude")


def _wait(awaitable: Awaitable[Any]) -> Any:
    """Run an awaitable in the loop of the request, or in one of its own, and wait for it here.

    Raises:
        RuntimeError: This is the loop's own thread, which would wait for itself.
    """
    return async_to_sync(awaited)(awaitable)
