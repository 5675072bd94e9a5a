"""Evaluation context: conversion to a visitor, a context and mbox parameters.

Attributes have the names of the Delivery API, as applications in all languages share contexts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

from targetry.delivery.session_id import session_id_fault
from targetry.device.logic.javascript import to_text
from targetry.errors import OptionError
from targetry.flags.errors import FlagError
from targetry.models import (
    Address,
    ClientHints,
    ConstraintError,
    Context,
    CustomerId,
    Geo,
    Order,
    Product,
    VisitorId,
)
from targetry.models.constraint import (
    MAX_ID_LENGTH,
    MAX_PARAMETER_NAME,
    MAX_PARAMETER_VALUE,
    MAX_PARAMETERS,
    MAX_URL_LENGTH,
)
from targetry.models.reading import read
from targetry.models.scalars import ReadMode, plain_scalar, shown, type_name
from targetry.visitor import parse_customer_ids

__all__ = [
    "TARGETING_KEY",
    "FlagSubject",
    "TargetingKey",
    "checked_targeting_key",
    "read_context",
    "read_evaluation_context",
]

TARGETING_KEY: Final = "targetingKey"

IdField = Literal["third_party_id", "tnt_id", "marketing_cloud_visitor_id"]
_CUSTOMER: Final = "customer:"
_REFUSED: Final = frozenset({"orderId", "orderTotal", "productPurchasedIds"})
_NOT_NESTED: Final = frozenset({str, bool, int, float})
_CHECKED: Final = ReadMode(constraints=True, either_name=True)

T = TypeVar("T", bound=msgspec.Struct)


class TargetingKey(msgspec.Struct, frozen=True):
    """Meaning of the targeting key: a field of the visitor's id, or the code of a customer id.

    `parameter` is an mbox parameter that also gets the key, for rules that read it.
    """

    field: IdField | None = "third_party_id"
    integration_code: str | None = None
    parameter: str | None = None


def checked_targeting_key(kind: object = "third_party_id", parameter: object = None) -> TargetingKey:
    """Check the options `targeting_key` and `targeting_key_parameter`. Raises `OptionError`."""
    if parameter is not None and (
        not isinstance(parameter, str) or not 1 <= len(parameter) <= MAX_PARAMETER_NAME
    ):
        raise OptionError(
            "targeting_key_parameter", f"must be the name of a parameter, not {shown(parameter)}"
        )
    for field in get_args(IdField):
        if kind == field:
            return TargetingKey(field, None, parameter)
    if isinstance(kind, str) and kind.startswith(_CUSTOMER) and 1 <= len(kind) - len(_CUSTOMER) <= 50:
        return TargetingKey(None, kind.removeprefix(_CUSTOMER), parameter)
    names = ", ".join(get_args(IdField))
    raise OptionError(
        "targeting_key", f"must be one of {names} or customer:<integration code>, not {shown(kind)}"
    )


class FlagSubject(msgspec.Struct):
    """Visitor, context and parameters that a flag is evaluated for."""

    id: VisitorId
    context: Context
    parameters: dict[str, str] = {}
    profile_parameters: dict[str, str] = {}
    property_token: str | None = None
    session_id: str | None = None
    order: Order | None = None
    product: Product | None = None


def read_evaluation_context(
    context: Mapping[str, Any],
    options: TargetingKey = TargetingKey(),  # noqa: B008 (frozen)
) -> FlagSubject:
    """Read a context with its targeting key as `targetingKey`; see `read_context`."""
    return read_context(context.get(TARGETING_KEY), context, options)


def read_context(
    key: str | None,
    attributes: Mapping[str, Any],
    options: TargetingKey = TargetingKey(),  # noqa: B008 (frozen)
) -> FlagSubject:
    """Read an evaluation context. The result shares no object with it.

    Args:
        key: The targeting key, None or empty for none.
        attributes: The other attributes; a `targetingKey` among them is ignored.
        options: The meaning of the targeting key.

    Raises:
        FlagError: `INVALID_CONTEXT` with the path of the wrong attribute.
    """
    try:
        base = attributes.get("context")
        context = Context("web") if base is None else _model(Context, base, "context.context")
        if context.channel is None:
            context.channel = "web"
        subject = FlagSubject(VisitorId(), context)
        for name, value in attributes.items():
            if not isinstance(name, str):
                raise OptionError("context", f"has the name {shown(name)}, which is no text")
            if value is None:
                continue
            if (reserved := _RESERVED.get(name)) is not None:
                reserved(subject, name, value)
            elif type(value) in _NOT_NESTED:
                _add(subject, name, value)
            else:
                for path, scalar in _flattened(name, value):
                    _add(subject, path, scalar)
        if key is not None and key != "":
            _add_targeting_key(subject, key, options)
        return subject
    except OptionError as error:
        raise FlagError("INVALID_CONTEXT", str(error)) from None
    except RecursionError:
        raise FlagError("INVALID_CONTEXT", "context: is nested too deeply") from None
    except Exception as error:  # a class of the caller can raise anything
        raise FlagError("INVALID_CONTEXT", f"context: cannot be read: {type(error).__name__}") from error


def read_parameters(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Read the attributes that a context adds to a prepared visitor: only mbox parameters.

    Raises:
        FlagError: `INVALID_CONTEXT` with the path of an attribute that is wrong, or that is fixed
            by the visitor.
    """
    for name in attributes:
        if name in _RESERVED:
            raise FlagError("INVALID_CONTEXT", f"context.{name}: belongs to the visitor, which was given")
    subject = read_context(None, attributes)
    if subject.profile_parameters:
        raise FlagError("INVALID_CONTEXT", "context.profile: belongs to no prepared visitor; give no visitor")
    return subject.parameters


def _add(subject: FlagSubject, name: str, value: Any) -> None:
    """Add a parameter, or one of the profile."""
    into, short = subject.parameters, name
    if "." in name:
        if name.startswith("profile."):
            into, short = subject.profile_parameters, name.removeprefix("profile.")
        elif name.startswith("mbox."):
            short = name.removeprefix("mbox.")
    if short in _REFUSED and into is subject.parameters:
        raise OptionError(f"context.{name}", "is a name that Target uses for orders: give order")
    if not short.strip() or len(short) > MAX_PARAMETER_NAME:
        raise OptionError(
            f"context[{shown(name)}]", f"must have a name of 1 to {MAX_PARAMETER_NAME} characters"
        )
    if not short.isascii():
        _check_encodable(f"context[{shown(name)}]", short)
    into[short] = _text_of(name, value)
    if len(into) > MAX_PARAMETERS:
        kind = "parameters" if into is subject.parameters else "profile_parameters"
        raise OptionError(f"context.{kind}", f"more than {MAX_PARAMETERS}, the most that the API takes")


def _add_targeting_key(subject: FlagSubject, key: str, options: TargetingKey) -> None:
    key, ids = _text(TARGETING_KEY, key, MAX_ID_LENGTH), subject.id
    if options.parameter is not None:
        _add(subject, f"mbox.{options.parameter}", key)
    if key == ids.marketing_cloud_visitor_id or (
        ids.tnt_id and key in (ids.tnt_id, ids.tnt_id.partition(".")[0])
    ):
        return  # the customer id names the visitor already
    if options.field is not None:
        if not getattr(ids, options.field):
            setattr(ids, options.field, key)
    else:
        known = ids.customer_ids or []
        if all(one.integration_code != options.integration_code for one in known):
            ids.customer_ids = [CustomerId(key, options.integration_code, "unknown"), *known]


def _flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the scalars in a value with their dotted names; a value can be nested mappings."""
    pending = [(name, value)]
    while pending:
        path, inner = pending.pop()
        if isinstance(inner, Mapping):
            if len(path) > MAX_PARAMETER_NAME + len("profile."):
                raise OptionError("context", f"a name has more than {MAX_PARAMETER_NAME} characters")
            pending += [(f"{path}.{key}", one) for key, one in reversed(list(inner.items()))]
        elif inner is not None:
            yield path, inner


def _text_of(name: str, value: Any) -> str:
    """Return the text of a parameter, with numbers in JavaScript's notation."""
    if type(value) is str and len(value) <= MAX_PARAMETER_VALUE and value.isascii():
        return value
    path = f"context.{name}"
    if isinstance(value, str):
        text = str(value)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = _digits(path, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise OptionError(path, "must be a finite number")
        text = to_text(float(value))
    elif isinstance(value, date):  # a datetime is one
        text = _iso_text(path, value)
    elif isinstance(value, list | tuple):
        text = _json(path, value)
    elif (plain := plain_scalar(value)) is not None:  # Decimal, UUID, a number of numpy
        return _text_of(name, plain)
    else:
        raise OptionError(
            path, f"must be a text, number, boolean, datetime, list or mapping, not {type_name(value)}"
        )
    return _bounded(path, text, MAX_PARAMETER_VALUE)


def _iso_text(path: str, value: date) -> str:
    try:
        return value.isoformat()
    except Exception:  # a zone can raise anything
        raise OptionError(path, f"must be a time, not {type_name(value)} with a broken zone") from None


def _digits(path: str, value: int) -> str:
    try:
        return str(int(value))
    except ValueError:  # Python limits the digits of an integer's text
        raise OptionError(path, f"must have at most {MAX_PARAMETER_VALUE} characters") from None


def _json(path: str, value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OptionError(path, f"cannot be written as JSON: {error}") from None


def _text(name: str, value: Any, longest: int) -> str:
    if type(value) is str and 0 < len(value) <= longest and value.isascii():
        return value
    path = f"context.{name}"
    if not isinstance(value, str):
        raise OptionError(path, f"must be a str, not {type_name(value)}")
    if not value:
        raise OptionError(path, "must not be empty")
    return _bounded(path, str(value), longest)


def _bounded(path: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise OptionError(path, f"must have at most {longest} characters, has {len(text)}")
    if not text.isascii():
        _check_encodable(path, text)
    return text


def _check_encodable(path: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OptionError(path, "holds a lone surrogate, which no request can carry") from None


def _model(model: type[T], value: object, path: str) -> T:
    """Return a checked copy of a part in the form of the API's JSON."""
    try:
        return read(value, model, path, _CHECKED)
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from None


def _session_id(subject: FlagSubject, name: str, value: Any) -> None:
    text = _text(name, value, MAX_ID_LENGTH)
    fault = session_id_fault(text)
    if fault is not None:
        raise OptionError(f"context.{name}", fault)
    subject.session_id = text


def _address(subject: FlagSubject) -> Address:
    address = subject.context.address
    if address is None:
        address = subject.context.address = Address()
    return address


def _url(subject: FlagSubject, name: str, value: Any) -> None:
    _address(subject).url = _text(name, value, MAX_URL_LENGTH)


def _referring_url(subject: FlagSubject, name: str, value: Any) -> None:
    _address(subject).referring_url = _text(name, value, MAX_URL_LENGTH)


def _ip(subject: FlagSubject, name: str, value: Any) -> None:
    geo = subject.context.geo
    if geo is None:
        geo = subject.context.geo = Geo()
    geo.ip_address = _text(name, value, 64)


def _channel(subject: FlagSubject, name: str, value: Any) -> None:
    if value not in ("web", "mobile"):
        raise OptionError(f"context.{name}", f"must be web or mobile, not {shown(value)}")
    subject.context.channel = value


def _customer_ids(subject: FlagSubject, name: str, value: Any) -> None:
    subject.id.customer_ids = parse_customer_ids(value, f"context.{name}") or None


def _user_agent(subject: FlagSubject, name: str, value: Any) -> None:
    subject.context.user_agent = _text(name, value, MAX_PARAMETER_VALUE)


def _client_hints(subject: FlagSubject, name: str, value: Any) -> None:
    subject.context.client_hints = _model(ClientHints, value, f"context.{name}")


def _geo(subject: FlagSubject, name: str, value: Any) -> None:
    address = subject.context.geo.ip_address if subject.context.geo is not None else None
    subject.context.geo = _model(Geo, value, f"context.{name}")
    subject.context.geo.ip_address = address or subject.context.geo.ip_address


def _property(subject: FlagSubject, name: str, value: Any) -> None:
    subject.property_token = _text(name, value, MAX_ID_LENGTH)


def _order(subject: FlagSubject, name: str, value: Any) -> None:
    subject.order = _model(Order, value, f"context.{name}")


def _product(subject: FlagSubject, name: str, value: Any) -> None:
    subject.product = _model(Product, value, f"context.{name}")


def _third_party_id(subject: FlagSubject, name: str, value: Any) -> None:
    subject.id.third_party_id = _text(name, value, MAX_ID_LENGTH)


def _tnt_id(subject: FlagSubject, name: str, value: Any) -> None:
    subject.id.tnt_id = _text(name, value, MAX_ID_LENGTH)


def _marketing_cloud_visitor_id(subject: FlagSubject, name: str, value: Any) -> None:
    subject.id.marketing_cloud_visitor_id = _text(name, value, MAX_ID_LENGTH)


def _read_apart(subject: FlagSubject, name: str, value: Any) -> None:
    """Do nothing: the attribute is read before or after the others."""


_RESERVED: Final[dict[str, Callable[[FlagSubject, str, Any], None]]] = {
    "context": _read_apart,
    TARGETING_KEY: _read_apart,
    "thirdPartyId": _third_party_id,
    "tntId": _tnt_id,
    "marketingCloudVisitorId": _marketing_cloud_visitor_id,
    "customerIds": _customer_ids,
    "sessionId": _session_id,
    "userAgent": _user_agent,
    "clientHints": _client_hints,
    "url": _url,
    "referringUrl": _referring_url,
    "ip": _ip,
    "geo": _geo,
    "channel": _channel,
    "property": _property,
    "order": _order,
    "product": _product,
}
