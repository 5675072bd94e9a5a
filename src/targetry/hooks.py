"""Hooks of a client: observers of its calls, impressions, artifact and HTTP requests.

A hook is given as the option `hooks`. It observes and never decides: what a hook raises is logged
at most once a minute, counted in `stats().hook_failures`, and changes nothing. Its methods run in
the thread or task of what they observe, so they must return quickly; there are no coroutine hooks.

    class Timings(Hook):
        def after_decision(self, call: CallEnded) -> None:
            print(call.kind, call.duration_s, [one.variant for one in call.evaluations])

    client = TargetClient.create(client="acme", organization_id="…", hooks=[Timings()])
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from targetry._runtime import validators
from targetry.delivery.offers import Activity, Experience, Reason
from targetry.errors import ErrorCode, OptionError
from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.models import DecisioningMethod, DeliveryRequest, Option, VisitorId
from targetry.models.response import merged_content

if TYPE_CHECKING:
    from targetry.delivery.envelope import TargetDeliveryResponse

__all__ = [
    "AcceptedExposure",
    "ArtifactChange",
    "CallEnded",
    "CallKind",
    "CallStarted",
    "ClientHandle",
    "Evaluation",
    "Hook",
    "HttpExchange",
    "Operation",
    "install_hook",
    "uninstall_hook",
]

CallKind = Literal["get_offers", "get_attributes", "send_notifications", "decide", "flag", "all_flags"]
Operation = Literal["delivery", "notifications", "artifact", "geo"]


class ClientHandle(msgspec.Struct, eq=False, weakref=True):
    """A client that a hook observes. Hooks should keep only weak references to it.

    Attributes:
        client: The client code.
        method: The client's decisioning method.
        stats: Returns the counts of the client, a `ClientStats`.
    """

    client: str
    method: DecisioningMethod
    stats: Callable[[], Any]


class CallStarted(msgspec.Struct, eq=False, kw_only=True):
    """A call that begins; its options are checked, and nothing is decided yet.

    Attributes:
        kind: The method that was called; `flag` also for `flag_details` and providers of flags,
            once for each flag.
        method: The decisioning method of the call.
        name: The mbox of `decide`, or the flag's key.
        request: The caller's request, copied; None for `decide`, `flag` and `all_flags`. It must
            not be changed.
        session_id: As the caller gave it.
        data: For what a hook keeps until `after_decision`. The hook itself is a good key.
    """

    kind: CallKind
    method: DecisioningMethod
    name: str | None = None
    request: DeliveryRequest | None = None
    session_id: str | None = None
    data: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind!r})"  # ids of visitors do not belong in logs


class Evaluation(msgspec.Struct, eq=False):
    """Outcome of one mbox, view, page load or flag.

    A page load and a view have one for each activity that applies to them.

    Attributes:
        key: Name of the mbox or view, the global mbox for a page load, or the flag's key.
        reason: As of a flag: `STATIC`, `TARGETING_MATCH`, `SPLIT`, `DEFAULT`, `STALE`, `UNKNOWN`
            (decided by the Delivery API), or `ERROR`.
        variant: Name of the experience, else its id; None for default content.
        activity: Activity, as far as it is known.
        experience: Experience, as far as it is known.
        error_code: Code of OpenFeature for an error.
        error_message: Description of an error, without ids.
        flag_set: Property token, else the client code.
        version: Version of the rules that decided; None if the Delivery API did.
    """

    key: str
    reason: Reason
    variant: str | None = None
    activity: Activity | None = None
    experience: Experience | None = None
    error_code: ErrorCode | None = None
    error_message: str | None = None
    flag_set: str = ""
    version: str | None = None
    _options: Sequence[Option] = ()
    _value: Any = None

    @property
    def value(self) -> Any:
        """Content of the offers, or the flag's value; None for default content."""
        return merged_content(self._options, None) if self._options else self._value

    def __repr__(self) -> str:
        return f"Evaluation({self.key!r}, {self.reason!r}, variant={self.variant!r})"


class CallEnded(CallStarted, kw_only=True):
    """A call that ended, well or not.

    Attributes:
        result: Result of the call; None for `decide`, `flag` and `all_flags`, and with an `error`.
            It is the caller's, and must not be changed.
        error: The exception that the call raises.
        duration_s: Seconds from the start of the call to its end.
    """

    result: TargetDeliveryResponse | None = None
    error: BaseException | None = None
    duration_s: float = 0.0

    @property
    def decided_by(self) -> DecisioningMethod | None:
        """The method that decided; None with an `error`."""
        return None

    @property
    def visitor_id(self) -> str | None:
        """The id by which activities are split.

        ECID, `tntId` without its cluster, or `thirdPartyId`.
        """
        return None

    @property
    def evaluations(self) -> list[Evaluation]:
        """Outcome of each location, in the order of the response; computed when it is first read.

        A failed call has one evaluation of reason `ERROR` for each location that was asked for;
        `all_flags` names none.
        """
        return []


class AcceptedExposure(msgspec.Struct, eq=False, kw_only=True):
    """An impression of a decision on device that was accepted for sending.

    Attributes:
        key: Name of the mbox or view.
        activity: The activity.
        experience: The experience.
        visitor_id: Ids of the visitor; must not be changed.
        session_id: Session of the visitor.
        property_token: Property of the decision.
        timestamp_ms: Time of the decision, epoch milliseconds.
    """

    key: str | None
    activity: Activity
    experience: Experience
    visitor_id: VisitorId | None
    session_id: str
    property_token: str | None
    timestamp_ms: int

    def __repr__(self) -> str:
        return f"AcceptedExposure({self.key!r}, {self.activity!r}, {self.experience!r})"


class ArtifactChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the artifact of a client that decides on device.

    Attributes:
        kind: `new` (a downloaded artifact is in use), `refused` (one cannot be used), `failed` (no
            artifact was received), `stale` (the rules in use may no longer be the latest), or
            `fresh` (they are confirmed again).
        location: Its URL without credentials, query and fragment, or the path of its file.
        reason: Why it was refused or failed, as in `stats().artifact.failures`.
        error: The error then.
        age_s: Seconds since stale rules were last confirmed; None if that is not known.
    """

    kind: Literal["new", "refused", "failed", "stale", "fresh"]
    location: str
    reason: str | None = None
    error: Exception | None = None
    age_s: float | None = None


class HttpExchange(msgspec.Struct, eq=False, kw_only=True):
    """One attempt of an HTTP request, and its outcome once the `with` block has ended.

    Attributes:
        operation: Purpose of the request.
        request: The request; its URL holds the session id.
        is_own_host: Whether the options `server_domain` or `cdn_base_path` name its host, and it is
            none of Adobe's.
        is_background: Whether a thread of the client sends it, and no call waits for it.
        headers: Header fields to send in addition; hooks add to them before the block begins.
        response: The response.
        error: The exception of the transport, without a response.
    """

    operation: Operation
    request: HttpRequest
    is_own_host: bool
    is_background: bool
    headers: dict[str, str] = {}
    response: HttpResponse | None = None
    error: BaseException | None = None

    def __repr__(self) -> str:
        return f"HttpExchange({self.operation!r}, {self.request!r})"


class Hook:
    """Observer of a client; a subclass overrides what it wants to see.

    `before_request` and `on_open` of several hooks are called in their order, the others in the
    reverse order.
    """

    def on_open(self, client: ClientHandle) -> None:
        """Take note of a client that is created with this hook."""

    def before_request(self, call: CallStarted) -> None:
        """Take note of a call, in the thread or task that makes it."""

    def after_decision(self, call: CallEnded) -> None:
        """Take note of the end of a call, before its result is returned or its error is raised."""

    def on_exposure(self, exposure: AcceptedExposure) -> None:
        """Take note of an impression that was accepted for sending."""

    def on_artifact(self, artifact: ArtifactChange) -> None:
        """Take note of a new, refused, stale or fresh artifact, in the thread that polls."""

    def around_http(self, exchange: HttpExchange) -> AbstractContextManager[object]:
        """Return a context manager that is entered before an HTTP request and left after it.

        It is left in the regular way after a failure too: `exchange.error` has the exception then.
        """
        return nullcontext()


METHODS: Final = (
    "on_open",
    "before_request",
    "after_decision",
    "on_exposure",
    "on_artifact",
    "around_http",
)


def checked_hooks(path: str, value: Any) -> tuple[Hook, ...]:
    """Return the hooks of an option. Raises `OptionError` with the position of a wrong one."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise OptionError(path, f"must be a sequence of hooks, not {type(value).__name__}")
    hooks: tuple[Hook, ...] = validators.convert(path, tuple, value)
    for position, hook in enumerate(hooks):
        _check_hook(f"{path}[{position}]", hook)
    return hooks


def _check_hook(path: str, hook: object) -> None:
    if isinstance(hook, type):
        raise OptionError(path, f"must be an instance, not the class {hook.__name__}")
    methods = {name: method for name in METHODS if (method := getattr(hook, name, None)) is not None}
    if not methods:
        raise OptionError(path, f"must have one of the methods {', '.join(METHODS)}")
    for name, method in methods.items():
        if not callable(method):
            raise OptionError(f"{path}.{name}", "must be callable")
        if inspect.iscoroutinefunction(method):
            raise OptionError(f"{path}.{name}", "must not be a coroutine function: no hook is awaited")


_installed: Final[list[Hook]] = []


def install_hook(hook: Hook) -> None:
    """Add a hook to clients and edges created from now on, unless they have one of its class."""
    _installed.append(hook)


def uninstall_hook(hook: Hook) -> None:
    """Undo `install_hook`; clients that exist keep the hook."""
    _installed[:] = [one for one in _installed if one is not hook]


def with_installed(hooks: Sequence[Hook]) -> tuple[Hook, ...]:
    """Return the hooks of a client or edge: its own, then the installed ones of other classes."""
    kinds = {type(hook) for hook in hooks}
    return (*hooks, *(hook for hook in _installed.copy() if type(hook) not in kinds))
