"""The answer in its envelope: what `get_offers` and `send_notifications` hand back (spec/client.md §7, delivery.md §8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar, overload

import msgspec

from targetry.delivery.cookies import Cookie, location_hint_cookie, target_cookie
from targetry.delivery.hosts import cluster_of_edge_host, is_custom_domain
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
    """An attribute that reads the key of its name."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, result: None, owner: type) -> _Key[T]: ...
    @overload
    def __get__(self, result: TargetDeliveryResponse, owner: type) -> T | None: ...
    def __get__(self, result: TargetDeliveryResponse | None, owner: type) -> _Key[T] | T | None:
        return self if result is None else result.get(self.name)


class _OfResponse(_Key[T]):
    """An attribute that reads the `DeliveryResponse`'s attribute of its name."""

    def __get__(self, result: Any, owner: type) -> Any:
        return self if result is None else getattr(result.get("response"), self.name, None)


class TargetDeliveryResponse(dict[str, Any]):
    """The result of a call: a dict with the documented keys, each an attribute too (`None` where it is absent).

    `request` is what was sent or decided, `response` the answer. The cookies are to be set by the application,
    `visitor_state` and, for a page that at.js continues, `get_server_state()` are for the page.

    Keyword arguments of other names are dropped, as by the official class of this name; other keys can be added
    afterwards, as to the dicts that the official client returns. The attributes of the `DeliveryResponse` can be
    read from the result itself, for code that expects the bare response.
    """

    __slots__ = ()

    visitor_state: _Key[Mapping[str, Any]] = _Key()
    request: _Key[DeliveryRequest] = _Key()
    response: _Key[DeliveryResponse] = _Key()
    target_cookie: _Key[Cookie] = _Key()
    target_location_hint_cookie: _Key[Cookie] = _Key()
    analytics_details: _Key[list[AnalyticsResponse]] = _Key()
    trace: _Key[list[dict[str, Any]]] = _Key()
    response_tokens: _Key[list[dict[str, Any]]] = _Key()
    meta: _Key[dict[str, Any]] = _Key()

    status: _OfResponse[int] = _OfResponse()
    request_id: _OfResponse[str] = _OfResponse()
    id: _OfResponse[VisitorId] = _OfResponse()
    client: _OfResponse[str] = _OfResponse()
    edge_host: _OfResponse[str] = _OfResponse()
    execute: _OfResponse[ExecuteResponse] = _OfResponse()
    prefetch: _OfResponse[PrefetchResponse] = _OfResponse()
    notifications: _OfResponse[list[NotificationResponse]] = _OfResponse()
    telemetry_server_token: _OfResponse[str] = _OfResponse()

    def __init__(self, **values: Any) -> None:
        super().__init__({name: value for name, value in values.items() if name in _KEYS})

    def copy(self) -> TargetDeliveryResponse:
        """Return a shallow copy, which is a result too."""
        copied = TargetDeliveryResponse()
        copied.update(self)
        return copied

    def to_dict(self) -> dict[str, Any]:
        """The `DeliveryResponse` as its `to_dict()`."""
        return (self.response or DeliveryResponse()).to_dict()

    def to_str(self) -> str:
        """The `DeliveryResponse` as its `to_str()`."""
        return (self.response or DeliveryResponse()).to_str()

    def to_json(self) -> str:
        """The `DeliveryResponse` as its `to_json()`."""
        return (self.response or DeliveryResponse()).to_json()

    def get_server_state(self) -> dict[str, Any]:
        """Request and response in wire form, for `window.targetGlobalSettings.serverState` of a page with at.js."""
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
    """Put an answer into its envelope. `method` is the one actually used; `remote_*` in the order to be shown.

    `stale`: the rules that decided may no longer be the latest.
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
    values: dict[str, Any] = {
        "visitor_state": visitor.get_state() if visitor is not None else None,
        "request": prepared.request,
        "response": response,
        "target_cookie": target_cookie(prepared.session_id, tnt_id, now),
        "meta": meta,
    }
    if cluster := prepared.cluster or (response.edge_host and cluster_of_edge_host(response.edge_host)):
        values["target_location_hint_cookie"] = location_hint_cookie(cluster)
    if analytics:
        values["analytics_details"] = analytics
    if traces:
        values["trace"] = traces
    if tokens:
        values["response_tokens"] = tokens
    result = TargetDeliveryResponse.__new__(TargetDeliveryResponse)
    result.update(values)  # all keys are known, so none is checked
    return result


def learned_cluster(
    prepared: PreparedRequest, response: DeliveryResponse, server_domain: str | None = None
) -> str | None:
    """The cluster that later calls of all visitors should go to, if this answer tells one (spec/delivery.md §5).

    An answer to a call that a visitor's own cookie routed tells nothing about others, and a `server_domain` of
    one's own is not left for a cluster that nobody asked for (spec/divergences.md D-27, B-51).
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
    """Add what one part of the answer holds."""
    for place in places:
        if place.analytics is not None:
            analytics.append(place.analytics)
        if place.trace:
            traces.append(place.trace)
        for option in place.options or ():
            if option.response_tokens:
                tokens.append(option.response_tokens)  # noqa: PERF401  mostly one option: a loop is faster
