"""Options of one call: the table that documents and checks them, and checked settings.

`OfferOptions` and `CallbackOptions` have the name, type, meaning and check of each option. Most
calls pass a `DeliveryRequest` and a session id in a dict, which takes a few dict lookups and the
copy of the request; one comparison of lengths skips everything else.

The checks of the official package come first, in its order and with its texts. The caller's options
and request are never changed, and share nothing with the request that the call works with.
"""

# Annotations are evaluated here: the table of options is made of them.

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Final, Generic, Required, TypedDict, TypeVar, cast
from uuid import UUID

from targetry._client.decisions.call_settings import CallSettings, RequestInput, checked_copy
from targetry._client.options import (
    MethodName,
    OptionInfo,
    decisioning_method,
    merge_options,
    options_in,
    options_section,
)
from targetry._runtime import validators
from targetry._runtime.validators import is_absent, is_given, suggestion, warn
from targetry.attributes import checked_names, with_mboxes
from targetry.errors import OptionError
from targetry.messages import MESSAGES
from targetry.models import CustomerId, DecisioningMethod, DeliveryRequest
from targetry.models.scalars import shown
from targetry.visitor import CustomerIdsInput, VisitorLike, check_visitor, parse_customer_ids

Result = TypeVar("Result")

_SERVER_SIDE: Final = DecisioningMethod.SERVER_SIDE


def offer_settings(
    options: Mapping[str, Any] | None,
    keywords: Mapping[str, Any],
    default_method: DecisioningMethod,
    call: str = "get_offers",
    mbox_names: Sequence[str] = (),
) -> CallSettings:
    """Check the options of `get_offers`.

    Args:
        options: The options as a mapping.
        keywords: The options given as keywords.
        default_method: The client's method.
        call: The name of the call, for messages.
        mbox_names: Mboxes to add to the request.

    Raises:
        OptionError: An option is wrong; it has the path of the field
            (`request.execute.mboxes[1].name`).
        TypeError: A keyword is not an option, or an option is given twice.
    """
    if options is None and _KNOWN_NAMES.issuperset(keywords):
        given = keywords
    elif not keywords and type(options) is dict:
        given = options
    else:
        given = _given(call, options, keywords)
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
    """Check the arguments of `get_attributes`, and add the mboxes to the request.

    The request, or all options, can be absent. Raises as `offer_settings` does.
    """
    names = checked_names(mbox_names)
    given = _given("get_attributes", options, keywords)
    if given.get("request") is None and given.get("events") is None:
        given = {**given, "request": DeliveryRequest()}
    offer = offer_settings(given, {}, default_method, "get_attributes", names)
    offer.kind = "get_attributes"
    return offer


def offers_call(
    request: DeliveryRequest, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> "OfferOptions":
    """Return the options of `get_offers` for a `get_attributes` call, with `request`.

    They have no callbacks: `get_attributes` calls these itself, with an `AttributesProvider`.
    """
    given = _given("get_attributes", options, keywords)
    left_out = ("events", "callback", "err_callback")
    others = {name: value for name, value in given.items() if name not in left_out}
    return cast("OfferOptions", others | {"request": request})


def notification_settings(options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> CallSettings:
    """Check the options of `send_notifications`. Raises as `offer_settings`."""
    given = _given("send_notifications", options, keywords)
    if not given:
        raise OptionError("options", "are required", MESSAGES["OPTIONS_REQUIRED"])
    request = checked_copy(_request(given), wire=True)
    if not request.notifications and not request.telemetry:
        raise OptionError("request.notifications", "is required", MESSAGES["NOTIFICATIONS_REQUIRED"])
    offer = CallSettings(request, _SERVER_SIDE, kind="send_notifications")
    _add_rest(offer, "send_notifications", given)
    _method(given, _SERVER_SIDE)  # checked, but it changes nothing
    return offer


def _given(call: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    return merge_options(call, options, keywords, _KNOWN)


def _request(given: Mapping[str, Any]) -> RequestInput:
    """Return the request: `request`, or `events` as on a page of Adobe's documentation."""
    request, events = given.get("request"), given.get("events")
    if isinstance(events, DeliveryRequest):
        if request is not None:
            raise OptionError("events", "means the same as request; pass one of them")
        return events
    return _request_input("request", request)


def _method(given: Mapping[str, Any], default: DecisioningMethod) -> DecisioningMethod:
    method = given.get("decisioning_method")
    return default if is_absent(method) else decisioning_method("decisioning_method", method)


def _add_rest(offer: CallSettings, call: str, given: Mapping[str, Any]) -> None:
    """Check and add the options that most calls do not have."""
    callback = given.get("callback")
    if callback is not None and not callable(callback) and not is_absent(callback):
        raise OptionError("callback", "must be callable", MESSAGES["INVALID_CALLBACK"])
    for name, value in given.items():
        if value is None:
            if name not in _KNOWN:
                _warn_ignored(call, name, value)
        elif name == "request" or (name == "session_id" and value is offer.session_id):
            continue  # checked before
        elif (check := _CHECKS.get(name)) is None:
            _warn_ignored(call, name, value)
        elif is_given(value):
            setattr(offer, name, check(name, value))


def _warn_ignored(call: str, name: str, value: object) -> None:
    if name == "config" and value is not None:
        warn(f"{call}() ignores the option 'config': make another client for another configuration")
    elif name not in _KNOWN or (name == "events" and not isinstance(value, (DeliveryRequest, NoneType))):
        warn(f"{call}() ignores the unknown option {shown(name)}{suggestion(name, _KNOWN)}")


def _request_input(path: str, value: Any) -> RequestInput:
    if isinstance(value, DeliveryRequest) or (isinstance(value, Mapping) and value):
        return value
    raise OptionError(path, "must be a DeliveryRequest", MESSAGES["REQUEST_REQUIRED"])


def _callback(path: str, value: Any) -> Callable[..., Any] | None:
    return None if is_absent(value) else validators.function(path, value)


def _visitor(path: str, value: Any) -> VisitorLike:
    return check_visitor(value)


def _customer_ids(path: str, value: Any) -> list[CustomerId]:
    return parse_customer_ids(value, path)


class _CommonOptions(TypedDict, total=False):
    request: Annotated[
        RequestInput | None,
        OptionInfo(
            _request_input,
            "`DeliveryRequest`, or a dict with names of the wire or of Python",
            "Request to the Delivery API; optional in `get_attributes`.",
        ),
    ]
    decisioning_method: Annotated[
        MethodName | Enum | None,
        OptionInfo(
            decisioning_method,
            "`server-side`, `on-device` or `hybrid`",
            "Decisioning method; default: the client's. `send_notifications` always calls the Delivery API.",
        ),
    ]
    session_id: Annotated[
        str | int | UUID | None,
        OptionInfo(validators.any_id, "str", "Session of the visitor, if `target_cookie` has none."),
    ]
    target_cookie: Annotated[
        str | None, OptionInfo(validators.any_text, "str", "Value of the visitor's cookie `mbox`.")
    ]
    target_location_hint: Annotated[
        str | int | None,
        OptionInfo(validators.any_id, "str", "Value of the visitor's cookie `mboxEdgeCluster`."),
    ]
    consumer_id: Annotated[
        str | int | UUID | None,
        OptionInfo(validators.any_id, "str", "Consumer of the supplemental data id (SDID)."),
    ]
    customer_ids: Annotated[
        CustomerIdsInput | None,
        OptionInfo(
            _customer_ids,
            "list of `CustomerId` or dicts, or dict of integration code → id",
            "Customer ids of the visitor.",
        ),
    ]
    visitor: Annotated[
        VisitorLike | None,
        OptionInfo(_visitor, "`Visitor`, or an object like it", "The Experience Cloud visitor."),
    ]
    visitor_cookie: Annotated[
        str | None,
        OptionInfo(
            validators.any_text, "str", "Value of the visitor's cookie `AMCV_…`, instead of `visitor`."
        ),
    ]


class OfferOptions(_CommonOptions, total=False):
    """Options of `get_offers`, `get_attributes` and `send_notifications`, as a dict or as keywords.

    None means that an option is absent. A call with a callback has `CallbackOptions`.
    """

    callback: None
    err_callback: None


class CallbackOptions(_CommonOptions, Generic[Result], total=False):
    """`OfferOptions` of a call with a callback, which runs in a thread; `TargetClient` only."""

    callback: Required[
        Annotated[
            Callable[[Result], object],
            OptionInfo(_callback, "callable", "Called with the result, in another thread."),
        ]
    ]
    err_callback: Annotated[
        Callable[[BaseException], object] | None,
        OptionInfo(_callback, "callable", "Called with the exception of a call that failed."),
    ]


CALL_OPTIONS: Final = options_in(CallbackOptions)
_CHECKS: Final = {
    name: option.check
    for name, option in CALL_OPTIONS.items()
    if name not in ("request", "decisioning_method")
}
_KNOWN: Final = dict.fromkeys((*CALL_OPTIONS, "events", "config")).keys()
_KNOWN_NAMES: Final = frozenset(_KNOWN)  # faster than these in their order
CALL_SECTION: Final = options_section(CALL_OPTIONS)
ASYNC_CALL_SECTION: Final = options_section(options_in(_CommonOptions))
