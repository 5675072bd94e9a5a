"""Flask: extension, and the target of a request (extra `flask`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Final, Unpack, cast

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
        has_request_context,
        request,
    )
    from werkzeug.datastructures import Headers
    from werkzeug.local import LocalProxy

__all__ = ["BoundTarget", "Consent", "Target", "current_target", "target"]

_PREFIX: Final = "TARGETRY_"
_EXTENSION: Final = "targetry"


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


_Visiting = tuple[Visit, BoundTarget, Any]
"""Visit and target of a request that is being answered, and OpenFeature's context to set back."""

# Each use of a proxy looks its object up again, through layers of Werkzeug.
_request_now: Callable[[], Request] = cast("LocalProxy[Request]", request)._get_current_object
_globals_now: Callable[[], Any] = cast("LocalProxy[Any]", g)._get_current_object


class _Serving:
    """Extension of one application."""

    def __init__(self, app: Flask, client: ClientInput, settings: WebSettings) -> None:
        if settings.openfeature:
            import targetry.contrib.openfeature_context  # noqa: F401  its absence is an error at the start
        self._settings = settings
        self._source = ClientSource(client, settings, asynchronous=False)
        self._key = f"targetry.visit.{id(self)}"  # of an environment that several applications may see
        app.before_request(self._begin)
        app.after_request(self._respond)
        app.teardown_request(self._end)
        got_request_exception.connect(self._fail, app)

    def _begin(self) -> None:
        original, shared = _request_now(), _globals_now()
        settings = self._settings
        if settings.exclude and settings.is_excluded(original.path):
            shared.pop("target", None)  # an outer application context lives longer than a request
            return
        environ = original.environ
        visit = Visit(self._source.visits or self._source.open(), WsgiRequest(environ, original))
        bound = shared.target = BoundTarget(visit)
        before = None
        if settings.openfeature:
            from targetry.contrib.openfeature_context import set_context

            bound.ready()
            before = set_context(visit)
        environ[self._key] = visit, bound, before

    def find_target(self) -> BoundTarget | None:
        """Return the target of the current request: in a stream too, and with a copied context."""
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        return visiting[1] if visiting is not None else g.get("target")

    def _respond(self, response: Response) -> Response:
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        if visiting is not None:
            visit, bound, _ = visiting
            if not visit.is_settled:
                if visit.needs_headers:
                    bound.respond(_Headers(response.headers))
                visit.settle(response.status_code)
        return response

    def _fail(self, sender: Flask, **_: object) -> None:
        """Drop the impressions of a view that raised; the page of the error has no cookies."""
        visiting: _Visiting | None = _request_now().environ.get(self._key)
        if visiting is not None and not visiting[0].is_settled:
            visiting[0].settle(FAILED_STATUS)

    def _end(self, error: BaseException | None) -> None:
        environ = _request_now().environ
        visiting: _Visiting | None = environ.get(self._key)
        if visiting is None:
            return  # it has ended already
        visit, bound, before = visiting
        if getattr(_globals_now(), "target", None) is not bound:
            return  # a thread with a copy of the context ends
        del environ[self._key]
        if before is not None:
            from targetry.contrib.openfeature_context import reset_context

            reset_context(before)
        if not visit.is_settled:
            visit.settle(FAILED_STATUS)


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
    serving = current_app.extensions.get(_EXTENSION) if has_request_context() else None
    return serving.find_target() if isinstance(serving, _Serving) else None


def _get_target() -> BoundTarget:
    found = _find_target()
    if found is None:
        reason = "call Target(app), or take the path out of exclude"
        raise RuntimeError(f"this request has no target, or there is no request; {reason}")
    return found


find_target_by(_find_target)

target: BoundTarget = cast(BoundTarget, LocalProxy(_get_target))
"""Target of the current request, as `g.target`; RuntimeError where there is none."""
