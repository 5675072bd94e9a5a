"""Events of a client: names, payloads, and the registry of handlers.

Handlers are code of the application, so `emit` never raises: a handler that fails is logged and
counted, and the next one is called. No lock is held while a handler runs, so it can call the
client, subscribe or emit. There is no lock at all: each step on shared state is one atomic
operation on a dict, which a fork cannot interrupt half done.

A coroutine handler runs as a task of the event loop that runs in the emitting thread. Without such
a loop, the emitting thread runs the coroutine to its end on a new loop.

Handlers run in the thread that emits: of the artifact's refresh, of the notifier, or of the call
that decides.
"""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypedDict

import msgspec

from targetry._runtime.lazy_import import importing
from targetry.errors import ArtifactError, OptionError

if TYPE_CHECKING:
    import asyncio

    from targetry.models import DeliveryRequest, Geo

CLIENT_READY: Final = "client_ready"
ARTIFACT_DOWNLOAD_SUCCEEDED: Final = "artifact_download_succeeded"
ARTIFACT_DOWNLOAD_FAILED: Final = "artifact_download_failed"
GEO_LOCATION_UPDATED: Final = "geo_location_updated"
ARTIFACT_STALE: Final = "artifact_stale"
ARTIFACT_FRESH: Final = "artifact_fresh"
GEO_LOOKUP_FAILED: Final = "geo_lookup_failed"
SEND_NOTIFICATION_ERROR: Final = "send_notification_error"
NOTIFICATION_FAILED: Final = "notification_failed"
NOTIFICATION_SPOOL_FAILED: Final = "notification_spool_failed"


class ClientReady(TypedDict):
    """Emitted once, 0.1 s after the first rules are ready.

    A server-side client emits it 0.1 s after `create` returns.
    """


class ArtifactDownloadSucceeded(TypedDict):
    """Emitted for each downloaded artifact that is now in use; not after an HTTP 304.

    Attributes:
        artifact_location: Its URL without credentials, query and fragment, or the path of its file.
        artifact_payload: The artifact as parsed JSON. It is parsed when a handler first reads the
            key.
    """

    artifact_location: str
    artifact_payload: dict[str, Any]


class ArtifactDownloadFailed(TypedDict):
    """Emitted for each failed attempt to get an artifact; attempts continue.

    Attributes:
        artifact_location: As in `artifact_download_succeeded`.
        error: An `ArtifactError`; its cause is the exception of the transport, if there was one.
        reason: Its kind, as in `stats().artifact.failures`.
    """

    artifact_location: str
    error: ArtifactError
    reason: str


class ArtifactStale(TypedDict):
    """Emitted once when the rules in use become stale, and again after each recovery.

    Attributes:
        artifact_location: As in `artifact_download_succeeded`.
        age_s: Seconds since the rules in use were last confirmed, or None if that is not known.
    """

    artifact_location: str
    age_s: float | None


class ArtifactFresh(TypedDict):
    """Emitted once when stale rules are confirmed again, with HTTP 200 or 304.

    Attributes:
        artifact_location: As in `artifact_download_succeeded`.
        age_s: Seconds since the rules were confirmed: 0.
    """

    artifact_location: str
    age_s: float


class GeoLocationUpdated(TypedDict):
    """Emitted for each location that is found for an IP address, and for each artifact.

    Attributes:
        geo_context: A `Geo` for an IP address. For an artifact, the location that the CDN sees for
            this host, as a dict with `ipAddress`, `latitude`, `longitude`, `countryCode`,
            `stateCode` and `city`, each None if it is unknown.
    """

    geo_context: Geo | dict[str, Any]


class GeoLookupFailed(TypedDict):
    """Emitted for each failed lookup of an IP address; the decision uses the request's geo.

    Attributes:
        ip_address: The address.
        url: URL of the lookup service without query.
        error: An `ApiException`, or the exception of the transport.
    """

    ip_address: str
    url: str
    error: Exception


class SendNotificationError(TypedDict):
    """Emitted for each request of notifications that is dropped after at least one attempt.

    Attributes:
        notification: The `DeliveryRequest` that was not delivered.
        error: The last error, usually an `ApiException`.
    """

    notification: DeliveryRequest
    error: Exception


class NotificationFailed(TypedDict):
    """Emitted when notifications are dropped.

    Notifications that were dropped without an attempt are reported together, at most once a second.

    Attributes:
        reason: `queue_full`, `rejected` (the API refuses the request), `expired` (too old, or
            failed too often while others succeeded), `unprocessed` (accepted, but not listed in the
            response), `invalid` (not serializable), `closed` (submitted after `close`, or pending
            at its end), `spool_lost` (unreadable on disk), or `spool_foreign` (on disk for another
            client account).
        count: Number of notifications.
        error: The last error, or None if they were dropped without an attempt.
        notification_ids: Their ids, as far as they are known: of at most a hundred requests.
    """

    reason: Literal[
        "queue_full",
        "rejected",
        "expired",
        "unprocessed",
        "invalid",
        "closed",
        "spool_lost",
        "spool_foreign",
    ]
    count: int
    error: Exception | None
    notification_ids: list[str]


class NotificationSpoolFailed(TypedDict):
    """Emitted when the spool folder or a file in it cannot be used, once for each problem.

    Attributes:
        error: Description of the problem.
    """

    error: str


PAYLOADS: Final[dict[str, type]] = {
    CLIENT_READY: ClientReady,
    ARTIFACT_DOWNLOAD_SUCCEEDED: ArtifactDownloadSucceeded,
    ARTIFACT_DOWNLOAD_FAILED: ArtifactDownloadFailed,
    GEO_LOCATION_UPDATED: GeoLocationUpdated,
    ARTIFACT_STALE: ArtifactStale,
    ARTIFACT_FRESH: ArtifactFresh,
    GEO_LOOKUP_FAILED: GeoLookupFailed,
    SEND_NOTIFICATION_ERROR: SendNotificationError,
    NOTIFICATION_FAILED: NotificationFailed,
    NOTIFICATION_SPOOL_FAILED: NotificationSpoolFailed,
}
"""Keys that an event has besides `type`, by its name."""

EVENT_NAMES: Final = tuple(PAYLOADS)

Handler = Callable[..., Any]


class ErrorLog(Protocol):
    """A logger, as far as events need one."""

    def error(self, message: str, /) -> Any: ...


class LazyValue:
    """A payload value that is computed when a handler first reads it."""

    __slots__ = ("_compute", "_value")

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute: Callable[[], Any] | None = compute
        self._value: Any = None

    def value(self) -> Any:
        """Return the value, which is computed once."""
        compute = self._compute
        if compute is not None:
            self._value = compute()
            self._compute = None
        return self._value


class Event(dict[str, Any]):
    """One event, `{"type": name, **payload}`: `event["error"]` and `event.error` are the same.

    Each handler gets a copy. A `LazyValue` never leaves the event: each way of reading computes it.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if type(value) is LazyValue:
            value = self[key] = value.value()
        return value

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"event {self.get('type')!r} has no {name!r}; it has {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        # With an __iter__ in this class, dict(event) and {**event} read through __getitem__.
        return super().__iter__()

    def __repr__(self) -> str:
        # A lazy value may have megabytes, so that printing an event must not compute it.
        return f"Event({ ({k: ... if type(v) is LazyValue else v for k, v in super().items()})!r})"

    def _computed(self) -> Event:
        for key in self:
            self[key]
        return self

    def get(self, key: str, default: Any = None) -> Any:
        if key in self:
            return self[key]
        return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else super().setdefault(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        return dict.pop(self._computed(), key, *default)

    def popitem(self) -> tuple[str, Any]:
        return dict.popitem(self._computed())

    def values(self) -> Any:
        return dict.values(self._computed())

    def items(self) -> Any:
        return dict.items(self._computed())

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self._computed(), other)

    def __ne__(self, other: object) -> bool:
        return dict.__ne__(self._computed(), other)


class _Subscription(msgspec.Struct, frozen=True):
    name: str
    handler: Handler
    takes_event: bool


def takes_event(path: str, handler: object) -> bool:
    """Return whether a handler takes the event; one without parameters does not.

    A handler whose signature cannot be read takes it, as in the official package.

    Args:
        path: Name of the option, for the error.
        handler: A callable with one argument or none.

    Raises:
        OptionError: If it cannot be called with one argument or with none.
    """
    if not callable(handler):
        raise OptionError(path, f"must be callable, not {type(handler).__name__}")
    try:
        signature = inspect.signature(handler)
    except Exception:  # `__signature__` may be a property that raises
        return True
    for arguments in ((None,), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return bool(arguments)
    raise OptionError(path, "must be callable with one argument, the event, or with none")


class Events:
    """Registry of event handlers. `failures` counts the handlers' calls that raised."""

    def __init__(self, handlers: Mapping[str, Handler] | None, log: ErrorLog) -> None:
        self.failures = 0
        self._log = log
        self._numbers = itertools.count(1)
        self._subscriptions: dict[str, _Subscription] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references
        for name, handler in (handlers or {}).items():
            self.subscribe(name, handler)

    def subscribe(self, name: str, handler: Handler) -> str:
        """Call `handler` at each event `name` from now on.

        Args:
            name: Name of the event.
            handler: A callable with one argument, the event, or with none.

        Returns:
            The id for `unsubscribe`, which is never used twice.

        Raises:
            OptionError: If the handler cannot be called with one argument or with none.
        """
        subscription = _Subscription(name, handler, takes_event(f"events.{name}", handler))
        subscription_id = f"{name}:{next(self._numbers)}"
        self._subscriptions[subscription_id] = subscription
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """Remove a subscription; an unknown id is ignored.

        An `emit` that has begun may still call the handler.
        """
        self._subscriptions.pop(subscription_id, None)

    def subscriptions(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by event name and number, in the order of subscription."""
        by_name: dict[str, dict[str, Handler]] = {}
        for subscription_id, subscription in self._subscriptions.copy().items():
            number = subscription_id.rpartition(":")[2]
            by_name.setdefault(subscription.name, {})[number] = subscription.handler
        return by_name

    def emit(self, name: str, /, **payload: Any) -> None:
        """Call the handlers of `name` in this thread, in the order of subscription; never raise."""
        for subscription in self._subscriptions.copy().values():
            if subscription.name == name:
                self._call(subscription, payload)

    def _call(self, subscription: _Subscription, payload: dict[str, Any]) -> None:
        try:
            if subscription.takes_event:
                result = subscription.handler(Event({"type": subscription.name, **payload}))
            else:
                result = subscription.handler()
            if inspect.isawaitable(result):
                self._run(subscription, result)
        except BaseException as error:
            if not _is_failure(error):
                raise
            self._failed(subscription, error)

    def _run(self, subscription: _Subscription, awaitable: Awaitable[Any]) -> None:
        with importing():
            import asyncio  # slow, and only coroutine handlers need it

        async def wait() -> None:
            await awaitable

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # With a loop factory the runner leaves the thread's own event loop setting alone.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(wait())
            return
        task = loop.create_task(wait(), name=f"targetry {subscription.name} handler")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(subscription, done))

    def _finished(self, subscription: _Subscription, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(subscription, error)

    def _failed(self, subscription: _Subscription, error: BaseException) -> None:
        self.failures += 1
        handler = subscription.handler
        try:
            name = getattr(handler, "__qualname__", None) or repr(handler)
            trace = "".join(traceback.format_exception(error))
            self._log.error(f"Handler {name} of event {subscription.name} failed:\n{trace}")
        except Exception:  # of the user's logger; the failure is counted already
            pass


def _is_failure(error: BaseException) -> bool:
    """Return whether an exception is a failure of the handler.

    Handlers run in threads that must outlive them, so `sys.exit()` and a coroutine that cancels
    itself are failures. KeyboardInterrupt comes from the user and passes through.
    """
    if isinstance(error, (Exception, SystemExit)):
        return True
    import asyncio

    return isinstance(error, asyncio.CancelledError)
