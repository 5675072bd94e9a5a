"""The options of one call, checked (spec/client.md §7 to §9).

The common call, a `DeliveryRequest` and a session id in a dict, is on the way of every decision: it costs a few dict
look-ups beside the copy of the request. Everything rarer is behind one comparison of lengths.

The official checks come in the official order, with its texts. The caller's options and request are never changed,
and nothing of the request that we go on with is shared with the caller (spec/divergences.md B-10, B-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

import msgspec

from targetry._client.options import decisioning_method, merged
from targetry._runtime import validators
from targetry._runtime.validators import Check, falsy, is_given, nearest, warn
from targetry.attributes import checked_names, with_mboxes
from targetry.errors import OptionError
from targetry.messages import MESSAGES
from targetry.models import ConstraintError, CustomerId, DecisioningMethod, DeliveryRequest, snapshot
from targetry.models.scalars import shown
from targetry.visitor import VisitorLike, check_visitor, parse_customer_ids

_SERVER_SIDE: Final = DecisioningMethod.SERVER_SIDE


class CallSettings(msgspec.Struct, eq=False):
    """The options of one call. `request` is a copy of its own."""

    request: DeliveryRequest
    decisioning_method: DecisioningMethod
    session_id: str | None = None
    target_cookie: str | None = None
    target_location_hint: str | None = None
    consumer_id: str | None = None
    customer_ids: list[CustomerId] | None = None
    visitor: VisitorLike | None = None
    visitor_cookie: str | None = None
    callback: Callable[[Any], Any] | None = None
    err_callback: Callable[[BaseException], Any] | None = None

    def __repr__(self) -> str:
        """Which options were given; what they hold is a visitor's."""
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"CallSettings({', '.join(given)})"


def offer_settings(
    options: Mapping[str, Any] | None,
    keywords: Mapping[str, Any],
    default_method: DecisioningMethod,
    call: str = "get_offers",
    mbox_names: Sequence[str] = (),
) -> CallSettings:
    """Check the options of `get_offers`; `default_method` is the client's. The request then asks for `mbox_names` too.

    Raises `OptionError`, with the path of the wrong field (`request.execute.mboxes[1].name`), or `TypeError` for
    a keyword that is no option.
    """
    given = options if not keywords and type(options) is dict else _given(call, options, keywords)
    if not given:
        raise OptionError("options", "are required", MESSAGES["OPTIONS_REQUIRED"])
    request = given.get("request")
    if type(request) is not DeliveryRequest or "events" in given:
        request = _request(given)
    method = _method(given, default_method) if "decisioning_method" in given else default_method
    # Hybrid may stay here; what the wire wants is checked again before sending.
    request = checked_copy(request, wire=method is _SERVER_SIDE)
    if mbox_names:
        request = with_mboxes(request, mbox_names)
    if (execute := request.execute) is not None and not execute.mboxes and execute.page_load is None:
        raise OptionError("request.execute", "must ask for something", MESSAGES["EXECUTE_FIELDS_REQUIRED"])
    if (prefetch := request.prefetch) is not None and not (
        prefetch.mboxes or prefetch.views or prefetch.page_load
    ):
        raise OptionError("request.prefetch", "must ask for something", MESSAGES["PREFETCH_FIELDS_REQUIRED"])
    session_id = given.get("session_id")
    if type(session_id) is not str or not session_id:
        session_id = None
    offer = CallSettings(request, method, session_id)
    if len(given) > (1 if session_id is None else 2):
        _add_rest(offer, call, given)
    return offer


def attribute_settings(
    mbox_names: object,
    options: Mapping[str, Any] | None,
    keywords: Mapping[str, Any],
    default_method: DecisioningMethod,
) -> CallSettings:
    """Check the arguments of `get_attributes`; the request that comes back asks for the mboxes too.

    As `offer_settings`, except that the request, or all options, may be absent (B-10).
    """
    names = checked_names(mbox_names)
    given = _given("get_attributes", options, keywords)
    if given.get("request") is None and given.get("events") is None:
        given = {**given, "request": DeliveryRequest()}
    return offer_settings(given, {}, default_method, "get_attributes", names)


def offers_call(
    request: DeliveryRequest, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of the `get_offers` call behind a `get_attributes` call, with `request` in place of its own.

    They have no callbacks: `get_attributes` calls these itself, with an `AttributesProvider`.
    """
    given = _given("get_attributes", options, keywords)
    left_out = ("events", "callback", "err_callback")
    return {name: value for name, value in given.items() if name not in left_out} | {"request": request}


def notification_settings(options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> CallSettings:
    """Check the options of `send_notifications`, which always asks the server. Raises as `offer_settings` does."""
    given = _given("send_notifications", options, keywords)
    if not given:
        raise OptionError("options", "are required", MESSAGES["OPTIONS_REQUIRED"])
    request = checked_copy(_request(given), wire=True)
    if not request.notifications and not request.telemetry:
        raise OptionError("request.notifications", "is required", MESSAGES["NOTIFICATIONS_REQUIRED"])
    offer = CallSettings(request, _SERVER_SIDE)
    _add_rest(offer, "send_notifications", given)
    _method(given, _SERVER_SIDE)  # checked, but it changes nothing
    return offer


def _given(call: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    return merged(call, options, keywords, _KNOWN)


def _request(given: Mapping[str, Any]) -> DeliveryRequest | Mapping[str, Any]:
    """The request, under its name or under the one that a page of the documentation gives it (D-02)."""
    request, events = given.get("request"), given.get("events")
    if isinstance(events, DeliveryRequest):
        if request is not None:
            raise OptionError("events", "means the same as request: give one of them")
        return events
    if isinstance(request, DeliveryRequest) or (isinstance(request, Mapping) and request):
        return request
    raise OptionError("request", "must be a DeliveryRequest", MESSAGES["REQUEST_REQUIRED"])


def _method(given: Mapping[str, Any], default: DecisioningMethod) -> DecisioningMethod:
    method = given.get("decisioning_method")
    return default if falsy(method) else decisioning_method("decisioning_method", method)


def checked_copy(request: DeliveryRequest | Mapping[str, Any], *, wire: bool) -> DeliveryRequest:
    """As `snapshot`, but raises `OptionError`."""
    try:
        return snapshot(request, wire=wire, either_name=True)
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from error


def _add_rest(offer: CallSettings, call: str, given: Mapping[str, Any]) -> None:
    """Check and add the options that the common call does not have."""
    callback = given.get("callback")
    if not falsy(callback) and not callable(callback):
        raise OptionError("callback", "must be callable", MESSAGES["INVALID_CALLBACK"])
    for name, value in given.items():
        if (check := _CHECKS.get(name)) is None:
            _warn_ignored(call, name, value)
        elif is_given(value):
            setattr(offer, name, check(name, value))


def _warn_ignored(call: str, name: str, value: object) -> None:
    if name == "config" and value is not None:
        warn(f"{call}() ignores the option 'config': make another client for another configuration")
    elif name not in _KNOWN or (name == "events" and not isinstance(value, (DeliveryRequest, NoneType))):
        warn(f"{call}() ignores the unknown option {shown(name)}{nearest(name, _KNOWN)}")


def _callback(path: str, value: Any) -> Callable[..., Any] | None:
    return None if falsy(value) and not callable(value) else validators.function(path, value)


def _visitor(path: str, value: Any) -> VisitorLike:
    return check_visitor(value)


def _customer_ids(path: str, value: Any) -> list[CustomerId]:
    return parse_customer_ids(value, path)


_CHECKS: Final[dict[str, Check]] = {
    "session_id": validators.any_id,
    "target_cookie": validators.any_text,
    "target_location_hint": validators.any_id,
    "consumer_id": validators.any_id,
    "customer_ids": _customer_ids,
    "visitor": _visitor,
    "visitor_cookie": validators.any_text,
    "callback": _callback,
    "err_callback": _callback,
}
_KNOWN: Final = ("request", "decisioning_method", *_CHECKS, "events", "config")
