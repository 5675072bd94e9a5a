"""Results of `get_offers` and `send_notifications`: the response with cookies, state and meta."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, NotRequired, TypedDict, TypeVar, cast, overload

import msgspec

from targetry.delivery.cookies import Cookie, location_hint_cookie, target_cookie
from targetry.delivery.hosts import cluster_of_edge_host, is_custom_domain
from targetry.delivery.offers import LocationOffers, OfferReader
from targetry.delivery.prepare import PreparedRequest
from targetry.models import (
    AnalyticsResponse,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteResponse,
    MboxResponse,
    NotificationResponse,
    PageLoadResponse,
    PrefetchMboxResponse,
    PrefetchResponse,
    View,
    VisitorId,
)

T = TypeVar("T")

_KEYS = frozenset(
    {
        "visitor_state",
        "request",
        "response",
        "target_cookie",
        "target_location_hint_cookie",
        "analytics_details",
        "trace",
        "response_tokens",
        "meta",
    }
)


class _Key(Generic[T]):
    """Attribute that reads the key of its name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, result: None, owner: type) -> _Key[T]: ...
    @overload
    def __get__(self, result: TargetDeliveryResponse, owner: type) -> T: ...
    def __get__(self, result: TargetDeliveryResponse | None, owner: type) -> _Key[T] | T:
        return self if result is None else cast(T, result.get(self.name))


class _OfResponse(_Key[T]):
    """Attribute that reads the attribute of its name from the `DeliveryResponse`."""

    @overload
    def __get__(self, result: None, owner: type) -> _OfResponse[T]: ...
    @overload
    def __get__(self, result: TargetDeliveryResponse, owner: type) -> T: ...
    def __get__(self, result: TargetDeliveryResponse | None, owner: type) -> _OfResponse[T] | T:
        return self if result is None else cast(T, getattr(result.get("response"), self.name, None))


class ResponseMeta(TypedDict):
    """`meta` of a result.

    Attributes:
        decisioning_method: Method that decided: `server-side` or `on-device`.
        remote_mboxes: Names of mboxes that need the server.
        remote_views: Names of views that need the server.
        stale: True if the rules that decided may no longer be the latest; absent otherwise.
    """

    decisioning_method: str
    remote_mboxes: list[str]
    remote_views: list[str]
    stale: NotRequired[bool]


class TargetDeliveryResponse(dict[str, Any]):
    """Result of a call: a dict with the documented keys, each an attribute too (None if absent).

    A result of a client always has `request` (as it was sent or decided), `response` (the
    `DeliveryResponse`), `target_cookie`, `meta` (`ResponseMeta`) and `visitor_state`. The
    application sets the cookies; the page gets `visitor_state` and, where at.js continues from it,
    `get_server_state()`.

    Keyword arguments of other names are dropped, as by the official class of this name. Other keys
    can be added afterwards, as to the dicts that the official client returns. Attributes of the
    `DeliveryResponse` are attributes of the result too, for code that expects the bare response.
    """

    __slots__ = ()

    visitor_state: _Key[Mapping[str, Any] | None] = _Key()
    request: _Key[DeliveryRequest] = _Key()
    response: _Key[DeliveryResponse] = _Key()
    target_cookie: _Key[Cookie] = _Key()
    target_location_hint_cookie: _Key[Cookie | None] = _Key()
    analytics_details: _Key[list[AnalyticsResponse] | None] = _Key()
    trace: _Key[list[dict[str, Any]] | None] = _Key()
    response_tokens: _Key[list[dict[str, Any]] | None] = _Key()
    meta: _Key[ResponseMeta] = _Key()

    status: _OfResponse[int | None] = _OfResponse()
    request_id: _OfResponse[str | None] = _OfResponse()
    id: _OfResponse[VisitorId | None] = _OfResponse()
    client: _OfResponse[str | None] = _OfResponse()
    edge_host: _OfResponse[str | None] = _OfResponse()
    execute: _OfResponse[ExecuteResponse | None] = _OfResponse()
    prefetch: _OfResponse[PrefetchResponse | None] = _OfResponse()
    notifications: _OfResponse[list[NotificationResponse] | None] = _OfResponse()
    telemetry_server_token: _OfResponse[str | None] = _OfResponse()

    def __init__(self, **values: Any) -> None:
        super().__init__({name: value for name, value in values.items() if name in _KEYS})

    @overload
    def content(self, mbox: str, default: T, *, index: int | None = None, as_type: type[T]) -> T: ...
    @overload
    def content(
        self, mbox: str, default: None = None, *, index: int | None = None, as_type: type[T]
    ) -> T | None: ...
    @overload
    def content(self, mbox: str, default: Any = None, *, index: int | None = None) -> Any: ...
    def content(
        self, mbox: str, default: Any = None, *, index: int | None = None, as_type: type[Any] | None = None
    ) -> Any:
        """Return the content of an mbox: HTML, a URL, or any JSON.

        Args:
            mbox: Name of the mbox.
            default: Returned if the mbox has no offer (default content), or is not in the response.
            index: Index of one of several mboxes of the name; all of them otherwise.
            as_type: Type of the content; content that does not fit counts as none. See
                `LocationOffers.content_as`.
        """
        offers = self.mbox(mbox, index=index)
        if as_type is not None:
            return offers.content_as(as_type, default)
        content = offers.content
        return default if content is None else content

    def mbox(self, name: str, *, index: int | None = None) -> LocationOffers:
        """Return the offers of an mbox, executed first; none if it is not in the response.

        Args:
            name: Name of the mbox.
            index: Index of one of several mboxes of the name; all of them otherwise.
        """
        return OfferReader(self.response).mbox(name, index)

    @property
    def mboxes(self) -> list[LocationOffers]:
        """Offers of each mbox name in the response."""
        return OfferReader(self.response).mboxes()

    @property
    def page_load(self) -> LocationOffers:
        """Offers of the page load; none if it is not in the response."""
        return OfferReader(self.response).page_load()

    def view(self, name: str) -> LocationOffers:
        """Return the offers of a view; none if it is not in the response."""
        return OfferReader(self.response).view(name)

    @property
    def views(self) -> list[LocationOffers]:
        """Offers of each view in the response."""
        return OfferReader(self.response).views()

    def copy(self) -> TargetDeliveryResponse:
        """Return a shallow copy of the same class."""
        copied = TargetDeliveryResponse()
        copied.update(self)
        return copied

    def to_dict(self) -> dict[str, Any]:
        """Return `to_dict()` of the `DeliveryResponse`."""
        return (self.response or DeliveryResponse()).to_dict()

    def to_str(self) -> str:
        """Return `to_str()` of the `DeliveryResponse`."""
        return (self.response or DeliveryResponse()).to_str()

    def to_json(self) -> str:
        """Return `to_json()` of the `DeliveryResponse`."""
        return (self.response or DeliveryResponse()).to_json()

    def get_server_state(self) -> dict[str, Any]:
        """Return request and response in wire form, for a page with at.js.

        The page assigns it to `window.targetGlobalSettings.serverState`.
        """
        return {
            "request": msgspec.json.decode((self.request or DeliveryRequest()).to_json()),
            "response": msgspec.json.decode((self.response or DeliveryResponse()).to_json()),
        }


def envelope(
    prepared: PreparedRequest,
    response: DeliveryResponse,
    method: str,
    now: float,
    remote_mboxes: list[str],
    remote_views: list[str],
    *,
    stale: bool = False,
) -> TargetDeliveryResponse:
    """Build the result of a call.

    Args:
        prepared: The request as it was sent or decided.
        response: The response, of the server or of the device engine.
        method: The decisioning method that was used, for `meta`.
        now: Epoch seconds, from which the ages of the cookies count.
        remote_mboxes: Names of mboxes that need the server, in the order to show.
        remote_views: The same for views.
        stale: Whether the rules that decided are older than the client accepts as current.
    """
    analytics: list[AnalyticsResponse] = []
    traces: list[dict[str, Any]] = []
    tokens: list[dict[str, Any]] = []
    if (execute := response.execute) is not None:
        if execute.page_load is not None:
            _collect((execute.page_load,), analytics, traces, tokens)
        if execute.mboxes:
            _collect(execute.mboxes, analytics, traces, tokens)
    if (prefetch := response.prefetch) is not None:
        if prefetch.page_load is not None:
            _collect((prefetch.page_load,), analytics, traces, tokens)
        if prefetch.views:
            _collect(prefetch.views, analytics, traces, tokens)
        if prefetch.mboxes:
            _collect(prefetch.mboxes, analytics, traces, tokens)

    meta: dict[str, Any] = {
        "decisioning_method": method,
        "remote_mboxes": remote_mboxes,
        "remote_views": remote_views,
    }
    if stale:
        meta["stale"] = True
    tnt_id = response.id.tnt_id if response.id is not None else None
    visitor = prepared.visitor
    result = TargetDeliveryResponse.__new__(TargetDeliveryResponse)  # all keys are known, so no check
    result["visitor_state"] = visitor.get_state() if visitor is not None else None
    result["request"] = prepared.request
    result["response"] = response
    result["target_cookie"] = target_cookie(prepared.session_id, tnt_id, now)
    result["meta"] = meta
    if cluster := prepared.cluster or (response.edge_host and cluster_of_edge_host(response.edge_host)):
        result["target_location_hint_cookie"] = location_hint_cookie(cluster)
    if analytics:
        result["analytics_details"] = analytics
    if traces:
        result["trace"] = traces
    if tokens:
        result["response_tokens"] = tokens
    return result


def learned_cluster(
    prepared: PreparedRequest, response: DeliveryResponse, server_domain: str | None = None
) -> str | None:
    """Return the cluster that later calls of all visitors go to, None if the response names none.

    The response to a call that a visitor's cookie routed says nothing about other visitors. A
    custom `server_domain` is not left for a cluster of a response (docs/migrating.md#d-27).
    """
    if prepared.routed_by_cookie or is_custom_domain(server_domain):
        return None
    return cluster_of_edge_host(response.edge_host)


def _collect(
    places: Iterable[PageLoadResponse | MboxResponse | PrefetchMboxResponse | View],
    analytics: list[AnalyticsResponse],
    traces: list[dict[str, Any]],
    tokens: list[dict[str, Any]],
) -> None:
    """Append analytics, traces and response tokens of one part of the response."""
    for place in places:
        if place.analytics is not None:
            analytics.append(place.analytics)
        if place.trace:
            traces.append(place.trace)
        for option in place.options or ():
            if option.response_tokens:
                tokens.append(option.response_tokens)  # noqa: PERF401  mostly one option: a loop is faster
