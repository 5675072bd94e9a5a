"""What the client tells its user: names of events, the event itself, and who is called (spec/client.md §5).

Handlers are foreign code, so the rules here are about harm. `emit` never raises; a handler that fails is logged and
counted, and the next one is called all the same. Nothing is locked while a handler runs, so it may call
back into the client, subscribe, or emit. There is in fact no lock at all: every step on shared
state is one atomic operation on a dict, which a fork cannot catch half done.

A coroutine handler runs as a task of the loop that runs in the emitting thread; where none runs, the emitting
thread drives it to its end on a loop of its own.
"""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from targetry._runtime.lazy_import import importing
from targetry.errors import OptionError

if TYPE_CHECKING:
    import asyncio

CLIENT_READY: Final = "client_ready"
ARTIFACT_DOWNLOAD_SUCCEEDED: Final = "artifact_download_succeeded"
ARTIFACT_DOWNLOAD_FAILED: Final = "artifact_download_failed"
GEO_LOCATION_UPDATED: Final = "geo_location_updated"
ARTIFACT_STALE: Final = "artifact_stale"
GEO_LOOKUP_FAILED: Final = "geo_lookup_failed"
SEND_NOTIFICATION_ERROR: Final = "send_notification_error"
NOTIFICATION_FAILED: Final = "notification_failed"
NOTIFICATION_SPOOL_FAILED: Final = "notification_spool_failed"

EVENT_NAMES: Final = (
    CLIENT_READY,
    ARTIFACT_DOWNLOAD_SUCCEEDED,
    ARTIFACT_DOWNLOAD_FAILED,
    GEO_LOCATION_UPDATED,
    ARTIFACT_STALE,
    GEO_LOOKUP_FAILED,
    SEND_NOTIFICATION_ERROR,
    NOTIFICATION_FAILED,
    NOTIFICATION_SPOOL_FAILED,
)

Handler = Callable[..., Any]


class ErrorLog(Protocol):
    """The one method of a logger that is used here."""

    def error(self, message: str, /) -> Any: ...


class Lazy:
    """A payload value that is computed when a handler first looks at it, and then kept."""

    __slots__ = ("_compute", "_value")

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute: Callable[[], Any] | None = compute
        self._value: Any = None

    def value(self) -> Any:
        compute = self._compute
        if compute is not None:
            self._value = compute()
            self._compute = None
        return self._value


class Event(dict[str, Any]):
    """`{"type": name, **payload}`, readable by key and by attribute: `event["error"]`, `event.error`.

    Each handler gets its own. A `Lazy` value is never seen from outside: every way of reading computes it.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if type(value) is Lazy:
            value = self[key] = value.value()
        return value

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"event {self.get('type')!r} has no {name!r}; it has {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        # Having an __iter__ of its own makes dict(event) and {**event} read through __getitem__.
        return super().__iter__()

    def __repr__(self) -> str:
        # A lazy value may be megabytes; printing an event does not fetch it.
        return f"Event({ ({k: ... if type(v) is Lazy else v for k, v in super().items()})!r})"

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
    """Whether `handler` is to be given the event; False for one without parameters (D-04).

    Raises `OptionError` under `path` for what cannot be called either way. A callable whose signature cannot be
    read is given the event, as the official package does.
    """
    if not callable(handler):
        raise OptionError(path, f"must be callable, not {type(handler).__name__}")
    try:
        signature = inspect.signature(handler)
    except Exception:  # what a callable says of itself may be computed
        return True
    for arguments in ((None,), ()):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return bool(arguments)
    raise OptionError(path, "must be callable with one argument, the event, or with none")


class Events:
    """Who is to be told what. `failures` counts the calls of handlers that went wrong."""

    def __init__(self, handlers: Mapping[str, Handler] | None, log: ErrorLog) -> None:
        self.failures = 0
        self._log = log
        self._numbers = itertools.count(1)
        self._subscriptions: dict[str, _Subscription] = {}
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself keeps only weak references
        for name, handler in (handlers or {}).items():
            self.subscribe(name, handler)

    def subscribe(self, name: str, handler: Handler) -> str:
        """Have `handler` called at each event `name`; returns the id for `unsubscribe`, never given twice (B-47).

        `OptionError` for a handler that takes neither one argument nor none.
        """
        subscription = _Subscription(name, handler, takes_event(f"events.{name}", handler))
        subscription_id = f"{name}:{next(self._numbers)}"
        self._subscriptions[subscription_id] = subscription
        return subscription_id

    def unsubscribe(self, subscription_id: str) -> None:
        """Forget a subscription; an id that is not known is ignored. An `emit` under way may still call it."""
        self._subscriptions.pop(subscription_id, None)

    def subscriptions(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by event name and subscription number, in the order of subscription."""
        by_name: dict[str, dict[str, Handler]] = {}
        for subscription_id, subscription in self._subscriptions.copy().items():
            number = subscription_id.rpartition(":")[2]
            by_name.setdefault(subscription.name, {})[number] = subscription.handler
        return by_name

    def emit(self, name: str, /, **payload: Any) -> None:
        """Call the handlers of `name`, in the order of subscription, in this thread. Never raises."""
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
            import asyncio  # only for those whose handlers await

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
        except Exception:
            pass  # the logger is the user's too; the count has already been taken


def _is_failure(error: BaseException) -> bool:
    """Whether an exception is the handler's own, and not somebody's wish to end this thread.

    A handler runs in threads that must outlive it, so `sys.exit()` there, or a coroutine that cancels itself, is
    its failure. KeyboardInterrupt is the user's and goes through.
    """
    if isinstance(error, (Exception, SystemExit)):
        return True
    import asyncio

    return isinstance(error, asyncio.CancelledError)
