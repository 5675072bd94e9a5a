"""Flask: extension, and the target of a request (extra `flask`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Unpack, cast
from weakref import ref

from targetry._runtime.lazy_import import importing_extra
from targetry.contrib.client_source import ClientInput, ClientSource
from targetry.contrib.current import current_target, find_target_by
from targetry.contrib.wsgi import WsgiRequest
from targetry.errors import OptionError
from targetry.web.bound import BoundTarget
from targetry.web.consent import Consent
from targetry.web.options import WebOptions, WebSettings, web_settings
from targetry.web.request import merged_vary
from targetry.web.visit import FAILED_STATUS, Visit

with importing_extra("flask"):
    from flask import (
        Flask,
        Request,
        Response,
        current_app,
        g,
        got_request_exception,
        has_app_context,
        has_request_context,
        request,
        request_tearing_down,
    )
    from werkzeug.datastructures import Headers
    from werkzeug.local import LocalProxy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["BoundTarget", "Consent", "Target", "current_target", "target"]

_PREFIX: Final = "TARGETRY_"
_EXTENSION: Final = "targetry"
_NAME: Final = "target"
_OK: Final = 200


class Target:
    """Extension of Flask: it gives each request a target.

    It sets the cookies and `Vary` of the response, and sends the impressions once the status of the
    response is known. A view reads the target by `g.target` or `targetry.contrib.flask.target`.

    Args:
        app: The application; None to call `init_app` later.
        client: A `TargetClient`, or a mapping of client options: then each process makes a client
            at the first request, which is closed at the end of the process. None if
            `app.config["TARGETRY_CLIENT"]` has it.
        **options: Options of the integration; see `targetry.web.options.WebOptions`. Others are
            read from `app.config`: `TARGETRY_COOKIE_DOMAIN` is `cookie_domain`.

    Raises:
        OptionError: An option is wrong or missing; `path` names it, or its key in `app.config`.
        TypeError: There is no such option.
        RuntimeError: The application has this extension already.
        MissingExtraError: `openfeature` is on, and its SDK is not installed.
    """

    def __init__(
        self,
        app: Flask | None = None,
        client: ClientInput | None = None,
        **options: Unpack[WebOptions],
    ) -> None:
        self._client = client
        self._options: Mapping[str, Any] = options
        web_settings(self._options)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Add the extension to an application; it can be added to several.

        Raises:
            OptionError: As the class; so TypeError, RuntimeError and MissingExtraError.
        """
        if _EXTENSION in app.extensions:
            raise RuntimeError("the application has a Target already; make one only")
        configured = app.config.get_namespace(_PREFIX)
        client = configured.pop("client", None)
        try:
            web_settings(configured)
        except OptionError as error:
            raise OptionError(f"{_PREFIX}{error.path.upper()}", error.reason) from error
        except TypeError as error:
            raise TypeError(f"configuration {_PREFIX}…: {error}") from error
        settings = web_settings({**configured, **self._options})
        if iscoroutinefunction(settings.consent):
            raise OptionError("consent", "must not be asynchronous in Flask; give a plain function")
        if self._client is not None:
            client = self._client
        if client is None:
            raise OptionError("client", f"is missing; pass client=, or set {_PREFIX}CLIENT")
        app.extensions[_EXTENSION] = _Serving(app, client, settings)


# Each use of a proxy looks its object up again, through layers of Werkzeug.
_request_now: Callable[[], Request] = cast("LocalProxy[Request]", request)._get_current_object
_app_now: Callable[[], Flask] = cast("LocalProxy[Flask]", current_app)._get_current_object
_globals_now: Callable[[], Any] = cast("LocalProxy[Any]", g)._get_current_object


class _Visiting:
    """Target of one request, made at its first use by one of the threads of the request.

    The environment holds this object, and a target holds the environment. After the request `g`
    keeps the target for a streamed body, so that there is no cycle to collect.
    """

    __slots__ = ("_after", "_during", "before", "inner", "is_over", "is_served")

    def __init__(self, *, is_served: bool) -> None:
        self.is_served = is_served  # by the WSGI application, which ends it; else its context does
        self.is_over = False
        self.inner = 0  # requests that a view makes of its own application now
        self.before: Any = None  # OpenFeature's context to set back
        self._during: dict[str, BoundTarget] = {}
        self._after: Callable[[], BoundTarget | None] | None = None

    @property
    def target(self) -> BoundTarget | None:
        """The target; None if it is not made yet, or nothing has kept it after the request."""
        found = self._during.get(_NAME)
        return self._after() if found is None and self._after is not None else found

    @property
    def is_used(self) -> bool:
        return bool(self._during) or self._after is not None

    def start(self, visit: Visit) -> BoundTarget:
        """Return the target of a visit, or the one that another thread has made just before."""
        target = self._during.setdefault(_NAME, BoundTarget(visit))
        if self.is_over and not target._visit.is_settled:
            target._visit.settle(_OK)  # a streamed body, or a thread that outlives the request
        return target

    def end(self) -> None:
        """Drop the impressions of a request without a response, and break the cycle."""
        self.is_over = True
        target = self._during.pop(_NAME, None)
        if target is not None:
            self._after = ref(target)
            if not target._visit.is_settled:
                target._visit.settle(FAILED_STATUS)
        if self.before is not None:
            from targetry.contrib.openfeature_context import reset_context

            reset_context(self.before)
            self.before = None


class _Serving:
    """Extension of one application."""

    def __init__(self, app: Flask, client: ClientInput, settings: WebSettings) -> None:
        if settings.openfeature:
            import targetry.contrib.openfeature_context  # noqa: F401  its absence is an error at the start
        self._app = app
        self._settings = settings
        self._source = ClientSource(client, settings, asynchronous=False)
        self._key = f"targetry.visit.{id(self)}"  # of an environment that several applications may see
        self._writes_always = settings.accept_ch or settings.cookies == "always"
        self._wsgi_app = app.wsgi_app
        app.wsgi_app = self._serve  # type: ignore[method-assign]  # as Flask's documentation says
        if settings.openfeature:
            app.before_request(self._enter_openfeature)
        app.after_request(self._respond)
        got_request_exception.connect(self._fail, app)
        globals_class: Any = type("Globals", (_Globals, app.app_ctx_globals_class), {})
        app.app_ctx_globals_class = globals_class
        if has_app_context() and _app_now() is app:
            g.target = target  # its `g` is of the previous class

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Answer one request."""
        visiting: _Visiting | None = environ.get(self._key)
        if visiting is not None and not visiting.is_over:
            return self._serve_inner(visiting, environ, start_response)
        visiting = environ[self._key] = _Visiting(is_served=True)
        try:
            return self._wsgi_app(environ, start_response)
        finally:
            visiting.end()

    def _serve_inner(
        self, visiting: _Visiting, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Any:
        """Answer a request of a view to its own application: the outer response has the cookies."""
        visiting.inner += 1
        try:
            return self._wsgi_app(environ, start_response)
        finally:
            visiting.inner -= 1

    def _visiting(self, original: Request) -> _Visiting | None:
        """Return that of a request; None for a request of another application."""
        environ = original.environ
        visiting: _Visiting | None = environ.get(self._key)
        if visiting is None:
            rule = original.url_rule
            if rule is not None and rule.map is self._app.url_map:  # of app.test_request_context()
                visiting = environ[self._key] = _Visiting(is_served=False)
                request_tearing_down.connect(self._end_unserved, self._app)
        return visiting

    def _end_unserved(self, sender: Flask, **_: object) -> None:
        environ = _request_now().environ
        visiting = environ.get(self._key)
        if visiting is not None and not visiting.is_served:
            del environ[self._key]
            visiting.end()

    def find_target(self) -> BoundTarget | None:
        """Return the target of the current request: in a stream too, and with a copied context."""
        original = _request_now()
        visiting = self._visiting(original)
        if visiting is None:
            return None
        found = visiting.target
        if found is None:
            if visiting.is_used or self._settings.is_excluded(original.path):
                return None
            visits = self._source.visits or self._source.open()
            found = visiting.start(Visit(visits, WsgiRequest(original.environ, original)))
        # Requests that the test client makes while a stream is read share one `g`.
        setattr(_globals_now(), f"{self._key}.{id(visiting)}", found)
        return found

    def _enter_openfeature(self) -> None:
        bound = self.find_target()
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        if bound is not None and visiting is not None and not visiting.inner:
            from targetry.contrib.openfeature_context import set_context

            bound.ready()
            visiting.before = set_context(bound._visit)

    def _respond(self, response: Response) -> Response:
        if self._writes_always:
            self.find_target()
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        bound = None if visiting is None or visiting.inner else visiting.target
        if bound is not None and not (visit := bound._visit).is_settled:
            if visit.needs_headers:
                bound.respond(_Headers(response.headers))
            visit.settle(response.status_code)
        return response

    def _fail(self, sender: Flask, **_: object) -> None:
        """Drop the impressions of a view that raised; the page of the error has no cookies."""
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        bound = None if visiting is None or visiting.inner else visiting.target
        if bound is not None and not bound._visit.is_settled:
            bound._visit.settle(FAILED_STATUS)


class _Headers:
    """Headers of a response of Flask."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def add(self, name: str, value: str) -> None:
        self._headers.add(name, value)

    def vary(self, name: str) -> None:
        merged = merged_vary(self._headers.getlist("Vary"), name)
        if merged is not None:
            self._headers["Vary"] = merged


def _find_target() -> BoundTarget | None:
    serving = _app_now().extensions.get(_EXTENSION) if has_request_context() else None
    return serving.find_target() if isinstance(serving, _Serving) else None


def _get_target() -> BoundTarget:
    found = _find_target()
    if found is None:
        reason = "call Target(app), or take the path out of exclude"
        raise RuntimeError(f"this request has no target, or there is no request; {reason}")
    return found


class _TargetOfRequest:
    """Attribute `target` of `g`: an application can still assign another."""

    def __get__(self, shared: object, owner: type) -> BoundTarget:
        found = _find_target()
        if found is None:
            raise AttributeError(_NAME)
        return found


class _Globals:
    """Class of `g`, before that of the application."""

    target = _TargetOfRequest()

    def get(self, name: str, default: Any = None) -> Any:
        if name == _NAME:
            return getattr(self, name, default)
        return cast("Any", super()).get(name, default)

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name) if name == _NAME else cast("Any", super()).__contains__(name)


find_target_by(_find_target)

target: BoundTarget = cast(BoundTarget, LocalProxy(_get_target))
"""Target of the current request, as `g.target`; RuntimeError where there is none."""
