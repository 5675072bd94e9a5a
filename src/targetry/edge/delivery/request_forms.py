"""Normalization of the published forms of a request's context to the form of the models.

Client hints can be the values of the `Sec-CH-UA…` headers or of `navigator.userAgentData`, under
the names of the API, the headers or the browser. IP addresses can have a port, brackets, or be a
list.
Fields that the API's document requires and its samples omit are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from targetry.models import AuthenticatedState, ChannelType
from targetry.models.ip_address import UNKNOWN_IP_ADDRESS, parse_ip_address

_CHANNELS: Final = frozenset(member.value for member in ChannelType)
_BRANDS: Final = ("browserUAWithMajorVersion", "browserUAWithFullVersion")
_TEXT_HINTS: Final = ("platform", "platformVersion", "model", "architecture", "bitness")
_HINT_NAMES: Final = {
    "sec-ch-ua": "browserUAWithMajorVersion",
    "sec-ch-ua-full-version-list": "browserUAWithFullVersion",
    "sec-ch-ua-mobile": "mobile",
    "sec-ch-ua-model": "model",
    "sec-ch-ua-platform": "platform",
    "sec-ch-ua-platform-version": "platformVersion",
    "sec-ch-ua-arch": "architecture",
    "sec-ch-ua-bitness": "bitness",
    "brands": "browserUAWithMajorVersion",
    "fullversionlist": "browserUAWithFullVersion",
}
_BRAND: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*+;\s*+v\s*+=\s*+"?([^",;\s]*+)"?')
_LONGEST_HINT: Final = 32_768  # characters, the limit of the engine

_decode = msgspec.json.Decoder().decode


def normalize(document: dict[str, Any], ignored: list[str]) -> None:
    """Normalize the parts of a decoded body that have several published forms, in place.

    Args:
        document: The decoded body, of any shape.
        ignored: Receives the paths of fields with invalid values.
    """
    context = document.get("context")
    if isinstance(context, dict):
        _normalize_geo(context, ignored)
        _normalize_hints(context, ignored)
    complete(document, ignored)


def complete(document: dict[str, Any], ignored: list[str]) -> None:
    """Fill in the channel, and drop optional objects that lack a required field, in place.

    Args:
        document: The decoded body, of any shape.
        ignored: Receives the paths of dropped objects and of an invalid channel.
    """
    _fill_channel(document, ignored)
    context = document.get("context")
    if isinstance(context, dict):
        _leave_out_incomplete(context, "mobilePlatform", ("deviceType", "platformType"), "context.", ignored)
    _leave_out_incomplete(document, "property", ("token",), "", ignored)
    visitor = document.get("id")
    customer_ids = visitor.get("customerIds") if isinstance(visitor, dict) else None
    for one in customer_ids if isinstance(customer_ids, list) else (customer_ids,):
        if isinstance(one, dict) and one.get("authenticatedState") in (None, ""):
            one["authenticatedState"] = AuthenticatedState.UNKNOWN.value


def _fill_channel(document: dict[str, Any], ignored: list[str]) -> None:
    context = document.get("context")
    if context in ([], ""):
        context = document["context"] = {}
    if not isinstance(context, dict):
        return
    channel = context.get("channel")
    if isinstance(channel, list) and len(channel) == 1:
        channel = context["channel"] = channel[0]
    if isinstance(channel, str) and channel in _CHANNELS:
        return
    known = str(channel).strip().lower()
    if channel not in (None, "", [], {}) and known not in _CHANNELS:
        ignored.append("context.channel")
    context["channel"] = known if known in _CHANNELS else ChannelType.WEB.value


def _normalize_geo(context: dict[str, Any], ignored: list[str]) -> None:
    """Drop an empty geo object, and replace an invalid address by None."""
    geo = context.get("geo")
    if isinstance(geo, list) and len(geo) == 1:
        geo = context["geo"] = geo[0]
    if geo in ({}, [], "") or (isinstance(geo, dict) and all(value is None for value in geo.values())):
        context["geo"] = None
        return
    if not isinstance(geo, dict):
        return
    address = geo.get("ipAddress")
    if isinstance(address, list):
        address = next(iter(address), "")
    if address is None or address == UNKNOWN_IP_ADDRESS:
        return
    known = parse_ip_address(address) if isinstance(address, str) else None
    if known is None and address != "":
        ignored.append("context.geo.ipAddress")
    geo["ipAddress"] = known


def _leave_out_incomplete(
    whole: dict[str, Any], name: str, required: tuple[str, ...], path: str, ignored: list[str]
) -> None:
    part = whole.get(name)
    if not isinstance(part, dict) or all(part.get(field) not in (None, "") for field in required):
        return
    if any(value not in (None, "") for value in part.values()):
        ignored.append(path + name)
    whole[name] = None


def _normalize_hints(context: dict[str, Any], ignored: list[str]) -> None:
    hints = context.get("clientHints")
    if isinstance(hints, str):
        hints = _parsed(hints)
    if not isinstance(hints, dict):
        return
    named = {_HINT_NAMES.get(name.lower(), name): value for name, value in hints.items()}
    named |= {name: value for name, value in hints.items() if name not in _HINT_NAMES and value is not None}
    for name in _TEXT_HINTS:
        value = named.get(name)
        if isinstance(value, str):
            named[name] = value.strip().strip('"') or None
    for name in _BRANDS:
        value = named.get(name)
        if value in (None, "", [], {}):
            named[name] = None
            continue
        named[name] = brand_list(value)
        if named[name] is None:
            ignored.append(f"context.clientHints.{name}")
    context["clientHints"] = named


def brand_list(value: Any) -> str | None:
    """Return brands in the form of the header `Sec-CH-UA`; None if they are in no published form.

    Args:
        value: The header's text, the list `navigator.userAgentData.brands`, an object with that
            list, or the JSON of one of them.
    """
    if isinstance(value, str):
        text = value[:_LONGEST_HINT].strip()
        parsed = _parsed(text) if text.startswith(("[", "{")) else None
        pairs = list(_pairs(parsed)) if parsed is not None else _BRAND.findall(text.replace('\\"', '"'))
    else:
        pairs = list(_pairs(value))
    return ", ".join(f'"{brand}";v="{version}"' for brand, version in pairs) or None


def _pairs(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        value = value.get("fullVersionList") or value.get("brands") or [value]
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict) and isinstance(one.get("brand"), str):
            version = one.get("version", "")
            yield one["brand"].replace('"', ""), str(version).replace('"', "")


def _parsed(text: str) -> Any:
    """Return the value of a JSON text; None if it is not JSON."""
    try:
        return _decode(text[:_LONGEST_HINT])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
