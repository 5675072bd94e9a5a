"""Parsing of delivery requests: query and body to validated values, or `RequestRejected`.

Limits are those of the API's document with three exceptions: a trace needs no token of the Target
UI, names in `geo` can have any length, and an mbox without an index gets its position. Values can
have the forms that SDKs and Adobe's samples send; see `coercion` and `request_forms`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from targetry import models
from targetry.delivery.session_id import session_id_fault
from targetry.edge.artifacts.workload import check_body, check_counts, is_within_counts
from targetry.edge.delivery.amounts import check_order_total
from targetry.edge.delivery.coercion import coerce
from targetry.edge.delivery.request_forms import complete, normalize
from targetry.edge.http.errors import RequestRejected
from targetry.models import (
    ConstraintError,
    DeliveryRequest,
    ExecuteRequest,
    MetricType,
    Notification,
    PrefetchRequest,
    snapshot,
)
from targetry.models.json_text import object_error
from targetry.models.snapshot import decode_request

_MOST_QUERY_FIELDS: Final = 100
_LONGEST_CACHED: Final = 64  # characters
_TYPES: Final = frozenset({MetricType.CLICK, MetricType.DISPLAY})
_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999

_USUAL_QUERY: Final = re.compile(
    "(?:imsOrgId=([A-Za-z0-9_.%@-]{1,64})|client=([A-Za-z0-9_.-]{1,64}))"
    "&sessionId=([A-Za-z0-9_.-]{1,128})(?:&version=[A-Za-z0-9_.-]*)?"
)

_PARAMETER: Final = re.compile(r"\[[^\d\]]")
_NAME: Final = re.compile(r"\w+")

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder().decode


class ParsedBody(msgspec.Struct, frozen=True, gc=False):
    """Request, and the paths of its fields with invalid values, which are None."""

    request: DeliveryRequest
    ignored: tuple[str, ...]


class DeliveryQuery(msgspec.Struct, frozen=True, gc=False):
    """Parameters of the query; at least one of `client` and `organization_id` is set."""

    client: str | None
    organization_id: str | None
    session_id: str


def parse_query(text: str) -> DeliveryQuery:
    """Parse `imsOrgId=…|client=…&sessionId=…`; other fields, like `version`, are ignored.

    Raises:
        RequestRejected: 400, a field is missing or invalid.
    """
    if usual := _USUAL_QUERY.fullmatch(text):
        organization_id, client, session_id = usual.groups()
        return DeliveryQuery(client, organization_id and _unquote_cached(organization_id), session_id)
    return _parse_any_query(text)


def _parse_any_query(text: str) -> DeliveryQuery:
    check_field_count(text)
    fields = query_fields(text)
    client, organization_id = fields.get("client"), fields.get("imsOrgId")
    if not client and not organization_id:
        raise RequestRejected(400, "query: imsOrgId or client is required")
    return DeliveryQuery(client, organization_id, _session_id(fields.get("sessionId", "")))


def check_field_count(query: str) -> None:
    """Check that a query has no more fields than any request needs.

    Raises:
        RequestRejected: 400.
    """
    if query.count("&") >= _MOST_QUERY_FIELDS:
        raise RequestRejected(400, f"query: has more than {_MOST_QUERY_FIELDS} fields")


def query_fields(text: str) -> dict[str, str]:
    """Return the first value of each field that has one.

    The result is that of `urllib.parse.parse_qsl`, in a third of its time.
    """
    fields: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if value:
            fields.setdefault(_unquoted(name), _unquoted(value))
    return fields


def _unquoted(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return _unquote_cached(text) if len(text) <= _LONGEST_CACHED else unquote_plus(text)


_unquote_cached = lru_cache(maxsize=256)(unquote_plus)  # most queries have the same organization


def _session_id(value: str) -> str:
    if fault := session_id_fault(value):
        raise RequestRejected(400, f"query.sessionId: {fault}")
    return value


def parse_body(body: bytes) -> ParsedBody:
    """Parse and check a body of any bytes; mboxes without an index get their position.

    Raises:
        RequestRejected: 400, a field is invalid or missing; 413, a limit is exceeded.
    """
    check_body(body)
    request = decode_request(body)
    if request is not None and _is_usual(request) and is_within_counts(request, body):
        try:
            _check(request)
        except RequestRejected:  # a coerced value can be valid
            pass
        else:
            return ParsedBody(request, ())
    return _parse_any_body(body)


def _parse_any_body(body: bytes) -> ParsedBody:
    document = _document(body)
    check_counts(document)
    ignored: list[str] = []
    normalize(document, ignored)
    try:
        request = _checked(document)
    except RequestRejected:
        coerced = coerce(document, ignored)
        complete(coerced, ignored)
        request = _checked(coerced)
    return ParsedBody(request, tuple(dict.fromkeys(ignored)))


def _is_usual(request: DeliveryRequest) -> bool:
    """Return whether a request needs none of the changes that `normalize` and `complete` make."""
    context, application = request.context, request._property
    return (
        context is not None
        and context.channel is not None
        and context.geo is None
        and context.client_hints is None
        and (application is None or application.token != "")
    )


def _checked(document: dict[str, Any]) -> DeliveryRequest:
    try:
        request = snapshot(document, wire=False)
    except ConstraintError as error:
        raise RequestRejected(400, f"{wire_path(error.path)}: {error.reason}") from None
    except RecursionError:
        raise RequestRejected(400, "request: is nested too deeply") from None
    _check(request)
    return request


def _check(request: DeliveryRequest) -> None:
    """Check what the models do not, and number the mboxes."""
    if request.context is None:
        raise RequestRejected(400, "request.context: is required")
    if (ids := request.id) is not None and ids.tnt_id and ids.tnt_id[0] == ".":
        raise RequestRejected(400, "request.id.tntId: has nothing before the profile's location")
    if request.execute is not None:
        _check_mode(request.execute, "request.execute")
    if request.prefetch is not None:
        _check_mode(request.prefetch, "request.prefetch")
        for position, view in enumerate(request.prefetch.views or ()):
            if view.order is not None:
                check_order_total(view.order, f"request.prefetch.views[{position}]")
    if request.notifications:
        for position, notification in enumerate(request.notifications):
            _check_notification(notification, f"request.notifications[{position}]")


def _check_mode(part: ExecuteRequest | PrefetchRequest, path: str) -> None:
    """Check page load and mboxes, and give mboxes without an index their position."""
    if part.page_load is not None and part.page_load.order is not None:
        check_order_total(part.page_load.order, f"{path}.pageLoad")
    for position, mbox in enumerate(part.mboxes or ()):
        if not mbox.name:
            raise RequestRejected(400, f"{path}.mboxes[{position}].name: is required")
        if mbox.index is None:
            mbox.index = position
        if mbox.order is not None:
            check_order_total(mbox.order, f"{path}.mboxes[{position}]")


def _document(body: bytes) -> dict[str, Any]:
    text = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        document = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RequestRejected(400, str(object_error(text, "request")))
    return document


def _check_notification(notification: Notification, path: str) -> None:
    """Check a notification as the API does; the SDK drops an invalid one in `prepare`."""
    identity: Any = notification.id
    timestamp: Any = notification.timestamp
    if not isinstance(identity, str) or not identity:
        raise RequestRejected(400, f"{path}.id: must be a text that is not empty")
    if notification.type not in _TYPES:
        raise RequestRejected(400, f"{path}.type: must be click or display")
    if type(timestamp) is not int or not 0 <= timestamp <= _LATEST_MS:
        raise RequestRejected(400, f"{path}.timestamp: must be milliseconds since 1970-01-01, as an integer")
    if notification.mbox is not None and notification.view is not None:
        raise RequestRejected(400, f"{path}: mbox and view exclude each other")
    if notification.order is not None:
        check_order_total(notification.order, path)


def wire_path(path: str) -> str:
    """Return a path with JSON names: `request.context.userAgent` for `request.context.user_agent`.

    The name of a parameter, in brackets and quotes at the end, stays unchanged.
    """
    end = _PARAMETER.search(path)
    ours, theirs = (path[: end.start()], path[end.start() :]) if end else (path, "")
    return _NAME.sub(lambda name: _WIRE_NAMES.get(name[0], name[0]), ours) + theirs


def _wire_names() -> dict[str, str]:
    """Return the JSON key of each attribute of all models; no attribute has two."""
    names: dict[str, str] = {}
    for model in vars(models).values():
        if isinstance(model, type) and issubclass(model, msgspec.Struct):
            names |= {field.name: field.encode_name for field in msgspec.structs.fields(model)}
    return names


_WIRE_NAMES: Final = _wire_names()
