"""Preparation of a request: ids, cluster, property, context and defaults (docs/delivery.md).

`prepare` edits the client's own copy of the request in place, never an object of the caller's. It
runs on every call, mostly with nothing to fill in, so each step first checks whether it has work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from targetry.delivery.cookies import TargetCookie, parse_target_cookie
from targetry.delivery.hosts import cluster_number, cluster_of_device_id
from targetry.delivery.session_id import session_id_fault
from targetry.errors import OptionError
from targetry.messages import MESSAGES, property_token_mismatch
from targetry.models import (
    AnalyticsRequest,
    AudienceManager,
    ChannelType,
    Context,
    CustomerId,
    DeliveryRequest,
    ExperienceCloud,
    Geo,
    LoggingType,
    MboxRequest,
    MetricType,
    ModelProperty,
    Notification,
    VisitorId,
)
from targetry.models.constraint import MAX_ID_LENGTH
from targetry.models.ip_address import UNKNOWN_IP_ADDRESS, is_ip_address
from targetry.visitor import (
    DEFAULT_CONSUMER_ID,
    CustomerIdsInput,
    Visitor,
    VisitorLike,
    customer_ids_of_state,
    parse_customer_ids,
)

_WEB = ChannelType.WEB
_EMPTY_GEO = Geo()
_CHANNELS = frozenset({ChannelType.WEB, ChannelType.MOBILE})
_SERVER_SIDE = LoggingType.SERVER_SIDE
_NOTIFIABLE = frozenset({MetricType.CLICK, MetricType.DISPLAY})
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_LONGEST_BLOB = 1024

_PROPERTY_MISMATCH = property_token_mismatch("%s", "%s")
# Values that can come from a visitor are logged at DEBUG only.
_MBOX_INVALID = MESSAGES["MBOX_INVALID"] + "mbox %d has no name; it is left out"
_NOTIFICATION_INVALID = MESSAGES["NOTIFICATION_INVALID"] + "notification %d has %s; it is left out"
_LEFT_OUT = "Left out: %r"
_NO_ADDRESS = (
    "Ignored context.geo.ip_address: not an IP address; pass the visitor's address alone (%d ignored so far)"
)
_IGNORED_ADDRESS = "Ignored IP address: %r"
_HINT_INVALID = "Ignored location hint %r: not the number of an edge cluster"


class LoggerLike(Protocol):
    """Logger of a client: each method takes a text with %-placeholders and its arguments."""

    def debug(self, message: str, /, *args: object) -> object: ...
    def warning(self, message: str, /, *args: object) -> object: ...
    def error(self, message: str, /, *args: object) -> object: ...


class PreparedRequest(msgspec.Struct, frozen=True):
    """Request that is ready to be sent or decided, with the values that the result needs.

    `cluster` is the edge cluster of the request. `routed_by_cookie` says that it is the visitor's
    own, from the target cookie or the hint cookie: it must not become the default of others.
    """

    request: DeliveryRequest
    session_id: str
    cluster: str | None = None
    routed_by_cookie: bool = False
    visitor: VisitorLike | None = None

    @property
    def geo_to_resolve(self) -> Geo | None:
        """The geo that has an IP address, for rules that use geo locations."""
        geo = self.request.context.geo if self.request.context is not None else None
        return geo if geo is not None and geo.ip_address is not None else None

    def set_geo(self, geo: Geo | None) -> None:
        """Replace the geo location of the request."""
        if self.request.context is not None:
            self.request.context.geo = geo


class VisitorOptions(Protocol):
    """Options of one call that identify the visitor."""

    @property
    def target_cookie(self) -> str | None: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def target_location_hint(self) -> str | None: ...
    @property
    def consumer_id(self) -> str | None: ...
    @property
    def customer_ids(self) -> CustomerIdsInput | None: ...


class WarningLog(Protocol):
    """Log that writes at most one line per minute of each `kind`."""

    def warning(self, kind: str, message: str, /, *args: object) -> object: ...


class IgnoredInput(msgspec.Struct):
    """Counts of ignored inputs; each was logged, unless its kind was logged in the same minute."""

    ip_addresses: int = 0
    mboxes: int = 0
    notifications: int = 0


class RequestDefaults(msgspec.Struct):
    """Defaults of a client's requests, the same for all its calls until one of them changes.

    Attributes:
        sticky_cluster: The client's own edge cluster, configured or learned from a response.
        timezone_offset: The offset of the machine's time zone in minutes east.
        routes_by_cookie: Whether the cluster in a visitor's target cookie routes the request.
    """

    new_id: Callable[[], str]
    log: LoggerLike
    environment_id: int | None = None
    property_token: str | None = None
    sticky_cluster: str | None = None
    timezone_offset: int = 0
    routes_by_cookie: bool = True
    rate_limited_log: WarningLog | None = None
    ignored: IgnoredInput = msgspec.field(default_factory=IgnoredInput)


def prepare(
    request: DeliveryRequest,
    options: VisitorOptions,
    defaults: RequestDefaults,
    visitor: VisitorLike | None,
    now: float,
    *,
    wire: bool,
    wants_sdid: bool = True,
) -> PreparedRequest:
    """Fill in the request in place and return it with its session id and cluster.

    Args:
        request: The client's copy of the caller's request.
        options: The options of the call that identify the visitor.
        defaults: The defaults of the client.
        visitor: The visitor of the call, None if it has none.
        now: Epoch seconds.
        wire: Whether the request is for the server; a decision on device needs a visitor id.
        wants_sdid: Whether to request an SDID of the visitor, after all checks that can raise.

    Raises:
        OptionError: A customer id or SDID is wrong, or all notifications are invalid and the
            request has no other part; the path names the field.
    """
    new_id, log = defaults.new_id, defaults.log
    session_id, device_id = options.session_id, None
    if options.target_cookie:
        cookie = usable_ids(parse_target_cookie(options.target_cookie, now))
        session_id, device_id = cookie.session_id or session_id, cookie.device_id
    cluster, routed_by_cookie = defaults.sticky_cluster, False
    if device_id or options.target_location_hint:
        routing_id = device_id if defaults.routes_by_cookie else None
        cluster, routed_by_cookie = _route(routing_id, options.target_location_hint, cluster, log)
    values = visitor.get_visitor_values() if visitor is not None else None

    if not request.request_id:
        request.request_id = new_id()
    if request.environment_id is None:
        request.environment_id = defaults.environment_id
    if wire or device_id or visitor is not None or options.customer_ids is not None:
        _fill_id(request, device_id, visitor, values, options.customer_ids)
    if not wire:
        ensure_visitor_id(request, cluster, new_id)
    if defaults.property_token or request._property is not None:
        _fill_property(request, defaults.property_token, log)
    context = request.context
    if context is None:
        context = request.context = Context(_WEB)
    elif context.channel not in _CHANNELS:
        context.channel = _WEB
    if context.geo is not None and context.geo.ip_address is not None:
        _check_address(context, context.geo, context.geo.ip_address, defaults, wire=wire)
    if context.time_offset_in_minutes is None:
        context.time_offset_in_minutes = defaults.timezone_offset
    _number_mboxes(request, defaults)
    if request.notifications is not None:
        _leave_out_invalid_notifications(request, request.notifications, defaults)
    if request.experience_cloud is None and visitor is None:
        request.experience_cloud = ExperienceCloud(analytics=AnalyticsRequest(logging=_SERVER_SIDE))
    else:
        consumer_id = (options.consumer_id or DEFAULT_CONSUMER_ID) if wants_sdid else None
        _fill_experience_cloud(request, visitor, values, consumer_id)
    return PreparedRequest(request, session_id or new_id(), cluster, routed_by_cookie, visitor)


def ensure_visitor_id(request: DeliveryRequest, cluster: str | None, new_id: Callable[[], str]) -> None:
    """Give a request a tnt id if it has none of the ids that visitors are bucketed by.

    Customer ids do not count: only the server knows the visitor that they belong to. A tnt id with
    nothing before its profile location (`.28_0`) does not count either: all visitors with a damaged
    cookie would share it.
    """
    visitor_id = request.id
    if visitor_id is None:
        visitor_id = request.id = VisitorId()
    elif not visitor_id.customer_ids:
        visitor_id.customer_ids = None
    tnt_id = visitor_id.tnt_id
    if not tnt_id or tnt_id[0] == ".":
        visitor_id.tnt_id = None
        if not visitor_id.marketing_cloud_visitor_id and not visitor_id.third_party_id:
            visitor_id.tnt_id = f"{new_id()}.{cluster}_0" if cluster else new_id()


def usable_ids(cookie: TargetCookie) -> TargetCookie:
    """Drop ids that the API rejects, so that a damaged cookie does not fail the visitor's calls."""
    session_id, device_id = cookie
    if session_id and session_id_fault(session_id):
        cookie = cookie._replace(session_id=None)
    if device_id and len(device_id) > MAX_ID_LENGTH:
        cookie = cookie._replace(device_id=None)
    return cookie


def _route(
    device_id: str | None, location_hint: str | None, sticky_cluster: str | None, log: LoggerLike
) -> tuple[str | None, bool]:
    if device_id and (cluster := cluster_of_device_id(device_id)):
        return cluster, True
    if location_hint:
        if cluster := cluster_number(location_hint):
            return cluster, True
        log.debug(_HINT_INVALID, location_hint)
    return sticky_cluster, False


def _fill_id(
    request: DeliveryRequest,
    device_id: str | None,
    visitor: VisitorLike | None,
    values: Mapping[str, str] | None,
    customer_ids: CustomerIdsInput | None,
) -> None:
    visitor_id = request.id or VisitorId()
    visitor_id.tnt_id = visitor_id.tnt_id or device_id
    if values and not visitor_id.marketing_cloud_visitor_id:
        visitor_id.marketing_cloud_visitor_id = values.get("MCMID") or None
    if visitor is not None or customer_ids is not None:
        known = _known_customer_ids(visitor, customer_ids)
        visitor_id.customer_ids = known + (visitor_id.customer_ids or [])
    visitor_id.customer_ids = visitor_id.customer_ids or None
    request.id = visitor_id if visitor_id.customer_ids or _has_other_id(visitor_id) else None


def _known_customer_ids(
    visitor: VisitorLike | None, customer_ids: CustomerIdsInput | None
) -> list[CustomerId]:
    """Return the customer ids of the call, else the visitor's.

    Those of the call also become part of the state of a `Visitor`.
    """
    if customer_ids is None:
        return customer_ids_of_state(visitor.get_state()) if visitor is not None else []
    known = parse_customer_ids(customer_ids)
    if isinstance(visitor, Visitor):
        visitor.set_customer_ids(known)
    return known


def _has_other_id(visitor_id: VisitorId) -> bool:
    return bool(visitor_id.tnt_id or visitor_id.marketing_cloud_visitor_id or visitor_id.third_party_id)


def _fill_property(request: DeliveryRequest, property_token: str | None, log: LoggerLike) -> None:
    own = request._property
    if own is None or not own.token:
        request._property = ModelProperty(token=property_token) if property_token else None
    elif own.token != property_token:
        log.debug(_PROPERTY_MISMATCH, own.token, property_token)


def _check_address(
    context: Context, geo: Geo, address: str, defaults: RequestDefaults, *, wire: bool
) -> None:
    """Remove a text that is not an IP address; on device, `unknown` is left to the geo lookup."""
    if is_ip_address(address) or (address == UNKNOWN_IP_ADDRESS and not wire):
        return
    geo.ip_address = None
    if geo == _EMPTY_GEO:
        context.geo = None
    defaults.ignored.ip_addresses += 1
    if defaults.rate_limited_log is not None:
        defaults.rate_limited_log.warning("ip-address", _NO_ADDRESS, defaults.ignored.ip_addresses)
    defaults.log.debug(_IGNORED_ADDRESS, address)


def _number_mboxes(request: DeliveryRequest, defaults: RequestDefaults) -> None:
    """Give each mbox its index, and leave out parts that request nothing."""
    if (execute := request.execute) is not None:
        if execute.mboxes is not None:
            execute.mboxes = _numbered(execute.mboxes, defaults)
        if execute.mboxes is None and execute.page_load is None:
            request.execute = None
    if (prefetch := request.prefetch) is not None:
        if prefetch.mboxes is not None:
            prefetch.mboxes = _numbered(prefetch.mboxes, defaults)
        prefetch.views = prefetch.views or None
        if prefetch.mboxes is None and prefetch.views is None and prefetch.page_load is None:
            request.prefetch = None


def _numbered(mboxes: list[MboxRequest], defaults: RequestDefaults) -> list[MboxRequest] | None:
    """Return the mboxes that have a name, with their positions as missing indexes."""
    place = 0
    for mbox in mboxes:
        if not mbox.name:
            return _numbered(_named(mboxes, defaults), defaults)
        if mbox.index is None:
            mbox.index = place
        place += 1
    return mboxes if place else None


def _named(mboxes: list[MboxRequest], defaults: RequestDefaults) -> list[MboxRequest]:
    named = []
    for position, mbox in enumerate(mboxes):
        if mbox.name:
            named.append(mbox)
        else:
            defaults.ignored.mboxes += 1
            defaults.log.error(_MBOX_INVALID, position)
            defaults.log.debug(_LEFT_OUT, mbox)
    return named


def _leave_out_invalid_notifications(
    request: DeliveryRequest, notifications: list[Notification], defaults: RequestDefaults
) -> None:
    """Keep the notifications with an id, a timestamp and a valid type.

    Raises:
        OptionError: No notification is valid and the request has no other part.
    """
    valid = []
    for position, notification in enumerate(notifications):
        fault = _fault_of(notification)
        if fault is None:
            valid.append(notification)
        else:
            defaults.ignored.notifications += 1
            defaults.log.error(_NOTIFICATION_INVALID, position, fault)
            defaults.log.debug(_LEFT_OUT, notification)
    request.notifications = valid or None
    if valid or not notifications or request.execute is not None or request.prefetch is not None:
        return
    if request.telemetry is None or not request.telemetry.entries:
        raise OptionError("request.notifications[0]", f"has {_fault_of(notifications[0])}")


def _fault_of(notification: Notification) -> str | None:
    if not notification.id:
        return "no id"
    if notification.timestamp is None:
        return "no timestamp"
    return None if notification.type in _NOTIFIABLE else "a type other than click and display"


def _fill_experience_cloud(
    request: DeliveryRequest,
    visitor: VisitorLike | None,
    values: Mapping[str, str] | None,
    consumer_id: str | None,
) -> None:
    """Fill in Audience Manager and Analytics; without a `consumer_id` no SDID is requested."""
    cloud = request.experience_cloud
    if cloud is None:
        cloud = request.experience_cloud = ExperienceCloud()
    manager = cloud.audience_manager
    if manager is None or (manager.location_hint is None and not manager.blob):
        cloud.audience_manager = _audience_manager(values) if values else None
    analytics = cloud.analytics
    if analytics is None:
        analytics = cloud.analytics = AnalyticsRequest(logging=_SERVER_SIDE)
    elif not analytics.logging:
        analytics.logging = _SERVER_SIDE
    if analytics.supplemental_data_id:
        _check_sdid(analytics.supplemental_data_id)
    elif visitor is not None and consumer_id is not None:
        analytics.supplemental_data_id = visitor.get_supplemental_data_id(consumer_id)


def _audience_manager(values: Mapping[str, str]) -> AudienceManager | None:
    """Return region and blob of the visitor if the API accepts both (docs/migrating.md#d-31)."""
    region, blob = values.get("MCAAMLH"), values.get("MCAAMB")
    if not region or not blob or len(blob) > _LONGEST_BLOB:
        return None
    try:
        location_hint = int(region)
    except (TypeError, ValueError):
        return None
    return AudienceManager(location_hint=location_hint, blob=blob) if location_hint >= 1 else None


def _check_sdid(sdid: str) -> None:
    if len(sdid) != 33 or sdid[16] != "-" or not _HEX_DIGITS.issuperset(sdid[:16] + sdid[17:]):
        path = "request.experience_cloud.analytics.supplemental_data_id"
        raise OptionError(path, "must be 16 hexadecimal digits, a hyphen, and 16 more")
