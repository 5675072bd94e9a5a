"""Checked, independent copies of requests.

The usual case takes two calls into msgspec, to MessagePack and back to models: that copies
everything mutable and checks types and limits, faster than through dicts. The copy equals the
request, which proves that nothing was read as something else (a `Context` as an `Address`, a `UUID`
as its text), except for subclasses of dict and list, which msgspec reads by their storage: a check
finds these. A request that fails is read by `reading.py`, which accepts a little more and knows the
path of a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import convert, json, msgpack

from targetry.models.base import Model
from targetry.models.constraint import ConstraintError
from targetry.models.containers import holds_plain_data, holds_plain_values
from targetry.models.context import Context, Geo
from targetry.models.details import Details, RequestDetails
from targetry.models.enums import ChannelType
from targetry.models.field_names import name_tree, with_wire_names
from targetry.models.ip_address import is_ip_address, parse_ip_address
from targetry.models.reading import read
from targetry.models.request import DeliveryRequest
from targetry.models.scalars import ReadMode, shown
from targetry.models.visitor import CustomerId

__all__ = ["LEFT_TO_PREPARE", "WIRE_ONLY", "ConstraintError", "decode_request", "snapshot"]

# Limits of the OpenAPI document that are not enforced here, and why.
LEFT_TO_PREPARE = {
    "DeliveryRequest.context": "filled when the request is prepared",
    "MboxRequest.index": "filled with the position when the request is prepared",
    "MboxRequest.mbox": "the document means `name`; an mbox without one is dropped and logged",
    "Notification.id": "a notification without one is ignored, counted and logged",
    "Notification.type": "a notification with another one is ignored, counted and logged",
    "Notification.timestamp": "a notification without one is ignored, counted and logged",
    "Geo.ipAddress": "what is no address is ignored, counted and logged",
}
WIRE_ONLY = {
    "Geo.countryCode": "rules compare names of any length on device",
    "Geo.stateCode": "rules compare names of any length on device",
    "Trace.authorizationToken": "on device a trace needs no authorization",
}

_CHECKED = ReadMode(constraints=True)
_CHECKED_EITHER_NAME = ReadMode(constraints=True, either_name=True)
_CHANNELS = frozenset(channel.value for channel in ChannelType)
_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(DeliveryRequest).decode
_unpack_context = msgpack.Decoder(Context).decode
_unpack_details = msgpack.Decoder(RequestDetails).decode
_decode = json.Decoder(DeliveryRequest).decode


def snapshot(
    request: DeliveryRequest | Mapping[str, Any], *, wire: bool, either_name: bool = False
) -> DeliveryRequest:
    """Return an independent, checked copy of a request.

    A time with an offset becomes the same instant in UTC.

    Args:
        request: A model, or a mapping with the names of the wire.
        wire: Check the limits, too, that matter to the Delivery API only.
        either_name: Mappings, also those inside a model, have the names of the wire or those of
            Python; a name that is neither is an error. Without it, such a name is ignored.

    Raises:
        ConstraintError: A field is wrong; it has the field's path.
    """
    try:
        model: Any = request
        if type(request) is dict:
            given = with_wire_names(request, name_tree(DeliveryRequest)) if either_name else request
            model = convert(given, DeliveryRequest)
        copy = _unpack(_pack(model))
        exact = copy == model and (model is request or holds_plain_data(request))
    except Exception:  # `read` finds the path of any fault
        exact = False
    if not (exact and _check_parts(copy, model)):
        copy = read(request, DeliveryRequest, "request", _CHECKED_EITHER_NAME if either_name else _CHECKED)
        _check_parts(copy, copy)
    if wire:
        _check_wire(copy)
    return copy


def decode_request(text: bytes) -> DeliveryRequest | None:
    """Return a request from its JSON text, equal to the `snapshot` of the decoded text.

    Returns:
        The request; None if the text is no request in the form of the models. `snapshot` then has
        the request of a more tolerant reader, or the path of the fault.
    """
    try:
        request = _decode(text)
        return request if _check_parts(request, request) else None
    except Exception:  # `snapshot` finds the path of any fault
        return None


def checked_context(context: Context) -> Context | None:
    """Return a copy of a context, as `snapshot` makes it.

    Returns:
        The copy; None if `snapshot` has a copy of a more tolerant reader, or the path of a fault.
    """
    try:
        channel: object = context.channel
        user_agent = context.user_agent
        if (
            type(channel) is str
            and channel in _CHANNELS
            and context.beacon is False
            and (user_agent is None or (type(user_agent) is str and user_agent.isascii()))
            and (copy := Context(channel, user_agent=user_agent)) == context  # type: ignore[arg-type]
        ):
            return copy  # most contexts have no other fields
        copy = _unpack_context(_pack(context))
        if copy != context:
            return None
        _check_context(copy)
    except Exception:  # `snapshot` finds the path of any fault
        return None
    return copy


def checked_parameters(parameters: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return a copy of mbox parameters, checked as by `snapshot`. Raises ConstraintError."""
    given = RequestDetails(parameters=parameters)  # type: ignore[arg-type]
    try:
        copy = _unpack_details(_pack(given))
        exact = copy == given and _check_names([given], path)
    except Exception:  # `read` finds the path of any fault
        exact = False
    if not exact:
        try:
            copy = read(given, RequestDetails, "", _CHECKED)
            _check_names([copy], "")
        except ConstraintError as error:
            raise ConstraintError(error.path.replace(".parameters", path, 1), error.reason) from None
    return copy.parameters or {}


def _check_parts(request: DeliveryRequest, given: DeliveryRequest) -> bool:
    """Check required fields and blank names, and rewrite IP addresses in other forms.

    Names are read in `given`, which `request` is equal to. Returns whether each list and dict there
    is exactly that, since msgspec copies subclasses by their storage. Every request comes by here,
    so a call is made only for a part that is there.
    """
    if request.context is not None:
        _check_context(request.context)
    is_plain = True
    if (visitor := given.id) is not None and visitor.customer_ids is not None:
        if type(visitor.customer_ids) is not list:
            return False
        _check_customer_ids(visitor.customer_ids)
    if request._property is not None:
        _require(request._property, "request._property", "token")
    if (execute := given.execute) is not None:
        if execute.page_load is not None:
            is_plain &= _check_names([execute.page_load], "request.execute.page_load")
        if execute.mboxes is not None:
            is_plain &= _check_names(execute.mboxes, "request.execute.mboxes[{}]")
    if (prefetch := given.prefetch) is not None:
        if prefetch.page_load is not None:
            is_plain &= _check_names([prefetch.page_load], "request.prefetch.page_load")
        if prefetch.views is not None:
            is_plain &= _check_names(prefetch.views, "request.prefetch.views[{}]")
        if prefetch.mboxes is not None:
            is_plain &= _check_names(prefetch.mboxes, "request.prefetch.mboxes[{}]")
    if given.notifications is not None:
        is_plain &= _check_names(given.notifications, "request.notifications[{}]")
        is_plain = is_plain and holds_plain_values(given.notifications)
    if given.trace is not None or given.qa_mode is not None or given.telemetry is not None:
        is_plain = is_plain and holds_plain_values([given.trace, given.qa_mode, given.telemetry])
    return is_plain


def _check_context(context: Context) -> None:
    if context.channel is None:
        raise ConstraintError("request.context.channel", "is required")
    if context.mobile_platform is not None:
        _require(context.mobile_platform, "request.context.mobile_platform", "device_type", "platform_type")
    if (geo := context.geo) is not None and (address := geo.ip_address) is not None:
        geo.ip_address = address if is_ip_address(address) else parse_ip_address(address) or address


def _check_customer_ids(customer_ids: list[CustomerId]) -> None:
    for index, customer_id in enumerate(customer_ids):
        path = f"request.id.customer_ids[{index}]"
        _require(customer_id, path, "id", "integration_code", "authenticated_state")


def _check_names(locations: Sequence[Details], path: str) -> bool:
    """Check the names of parameters; `path` has a `{}` for the index of an error.

    Returns whether each list and dict is exactly that; others are left to a reader of any class.
    """
    if type(locations) is not list:
        return False
    for location in locations:
        if (given := location.parameters) is not None:
            if type(given) is not dict:
                return False
            for name in given:
                if name.isspace():
                    raise _blank_name(locations, path)
        if (given := location.profile_parameters) is not None:
            if type(given) is not dict:
                return False
            for name in given:
                if name.isspace():
                    raise _blank_name(locations, path)
        if location.order is not None and not holds_plain_values(location.order):
            return False
    return True


def _blank_name(locations: Sequence[Details], path: str) -> ConstraintError:
    blanks = (
        f"{path.format(index)}.{field}[{shown(name)}]"
        for index, location in enumerate(locations)
        for field in ("parameters", "profile_parameters")
        for name in getattr(location, field) or ()
        if name.isspace()
    )
    return ConstraintError(next(blanks), "the name must not be blank")


def _check_wire(request: DeliveryRequest) -> None:
    if request.trace is not None:
        _require(request.trace, "request.trace", "authorization_token")
    if (context := request.context) is not None and (geo := context.geo) is not None:
        _check_place(geo)


def _check_place(geo: Geo) -> None:
    country, state = geo.country_code, geo.state_code
    if country is not None and len(country) != 2:
        reason = f"must have exactly 2 characters, has {len(country)}"
        raise ConstraintError("request.context.geo.country_code", reason)
    if state is not None and not 1 <= len(state) <= 3:
        reason = f"must have 1 to 3 characters, has {len(state)}"
        raise ConstraintError("request.context.geo.state_code", reason)


def _require(model: Model, path: str, *fields: str) -> None:
    for field in fields:
        if getattr(model, field) is None:
            raise ConstraintError(f"{path}.{field}", "is required")
