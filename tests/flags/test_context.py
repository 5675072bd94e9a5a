"""Evaluation context: place and text of each attribute, and rejected contexts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.arbitrary_values import anything
from support.cases import each_case
from targetry import OptionError
from targetry.flags.context import (
    FlagSubject,
    TargetingKey,
    checked_targeting_key,
    read_context,
    read_evaluation_context,
    read_parameters,
)
from targetry.flags.errors import FlagError
from targetry.models import Address, ClientHints, Context, CustomerId, Geo, Order, Product, VisitorId

WEB = Context(channel="web")


def subject(**parts: Any) -> FlagSubject:
    return FlagSubject(**{"id": VisitorId(), "context": WEB, **parts})


@each_case(
    "attributes, expected",
    [
        ({}, subject()),
        (
            {"thirdPartyId": "p", "tntId": "t.28_0"},
            subject(id=VisitorId(tnt_id="t.28_0", third_party_id="p")),
        ),
        ({"marketingCloudVisitorId": "m"}, subject(id=VisitorId(marketing_cloud_visitor_id="m"))),
        (
            {"customerIds": {"crm": {"id": "1", "auth_state": 1}}},
            subject(
                id=VisitorId(
                    customer_ids=[
                        CustomerId(id="1", integration_code="crm", authenticated_state="authenticated")
                    ]
                )
            ),
        ),
        ({"sessionId": "s-1"}, subject(session_id="s-1")),
        ({"userAgent": "Mozilla/5.0"}, subject(context=Context("web", user_agent="Mozilla/5.0"))),
        (
            {"clientHints": {"mobile": True, "browserUAWithMajorVersion": "x"}},
            subject(
                context=Context(
                    "web", client_hints=ClientHints(mobile=True, browser_ua_with_major_version="x")
                )
            ),
        ),
        (
            {"url": "https://a.example", "referringUrl": "https://b.example"},
            subject(
                context=Context(
                    "web", address=Address(url="https://a.example", referring_url="https://b.example")
                )
            ),
        ),
        (
            {"ip": "192.0.2.1", "geo": {"countryCode": "IT"}},
            subject(context=Context("web", geo=Geo(ip_address="192.0.2.1", country_code="IT"))),
        ),
        ({"channel": "mobile"}, subject(context=Context("mobile"))),
        (
            {"context": {"userAgent": "base", "beacon": False}, "url": "u"},
            subject(context=Context("web", user_agent="base", address=Address(url="u"))),
        ),
        ({"property": "p-1"}, subject(property_token="p-1")),
        ({"order": {"id": "o", "total": 1.5}}, subject(order=Order(id="o", total=1.5))),
        ({"product": {"id": "p"}}, subject(product=Product(id="p"))),
        (
            {"profile.age": 3, "profile": {"city": "Rome"}},
            subject(profile_parameters={"age": "3", "city": "Rome"}),
        ),
        ({"mbox.url": "x", "page": "home"}, subject(parameters={"url": "x", "page": "home"})),
        (
            {"cart": {"total": 9, "lines": {"n": 2}}},
            subject(parameters={"cart.total": "9", "cart.lines.n": "2"}),
        ),
        ({"a": None, "url": None, "b": {"c": None}}, subject()),
    ],
)
def test_attribute_sets_its_field(attributes: dict[str, Any], expected: FlagSubject) -> None:
    assert read_context(None, attributes) == expected


@each_case(
    "value, text",
    [
        ("a", "a"),
        (True, "true"),
        (False, "false"),
        (10**30, "1" + "0" * 30),
        (10.0, "10"),
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (datetime(2026, 11, 28, 12, tzinfo=UTC), "2026-11-28T12:00:00+00:00"),
        (date(2026, 11, 28), "2026-11-28"),
        (Decimal("9.90"), "9.9"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.int64(3), "3"),
        ([1, "ü", None], '[1,"ü",null]'),
        ((1, {"a": 2}), '[1,{"a":2}]'),
    ],
)
def test_parameter_is_the_text_of_its_value(value: Any, text: str) -> None:
    assert read_context(None, {"x": value}).parameters == {"x": text}


@each_case(
    "kind, expected",
    [
        ("third_party_id", VisitorId(third_party_id="u1")),
        ("tnt_id", VisitorId(tnt_id="u1")),
        ("marketing_cloud_visitor_id", VisitorId(marketing_cloud_visitor_id="u1")),
        (
            "customer:crm",
            VisitorId(
                customer_ids=[CustomerId(id="u1", integration_code="crm", authenticated_state="unknown")]
            ),
        ),
    ],
)
def test_targeting_key_sets_the_id_of_the_option(kind: str, expected: VisitorId) -> None:
    assert read_context("u1", {}, checked_targeting_key(kind)).id == expected


@each_case(
    "key, attributes, expected",
    [
        ("u1", {"thirdPartyId": "p"}, VisitorId(third_party_id="p")),
        ("t", {"tntId": "t.28_0"}, VisitorId(tnt_id="t.28_0")),
        ("t.28_0", {"tntId": "t.28_0"}, VisitorId(tnt_id="t.28_0")),
        ("m", {"marketingCloudVisitorId": "m"}, VisitorId(marketing_cloud_visitor_id="m")),
        ("u1", {"tntId": "t"}, VisitorId(tnt_id="t", third_party_id="u1")),
        ("", {}, VisitorId()),
    ],
)
def test_targeting_key_does_not_replace_an_id_of_the_context(
    key: str, attributes: dict[str, Any], expected: VisitorId
) -> None:
    assert read_context(key, attributes).id == expected


def test_targeting_key_also_sets_the_parameter_of_the_option() -> None:
    options = checked_targeting_key(parameter="targetingKey")
    assert read_context("u1", {}, options).parameters == {"targetingKey": "u1"}


@each_case("kind", ["", "email", "customer:", "customer:" + "x" * 51, None, 3])
def test_unknown_targeting_key_option_raises(kind: Any) -> None:
    with pytest.raises(OptionError, match="targeting_key"):
        checked_targeting_key(kind)


@pytest.mark.parametrize("name", ["", "x" * 129, 3])
def test_targeting_key_parameter_that_is_no_name_raises(name: Any) -> None:
    with pytest.raises(OptionError, match="targeting_key_parameter"):
        checked_targeting_key(parameter=name)


@each_case(
    "kind, parameter, expected",
    [
        ("tnt_id", None, TargetingKey("tnt_id")),
        ("customer:c", "k", TargetingKey(None, "c", "k")),
        ("customer:" + "x" * 50, "k" * 128, TargetingKey(None, "x" * 50, "k" * 128)),
    ],
)
def test_targeting_key_options_of_any_allowed_length_are_read(
    kind: str, parameter: str | None, expected: TargetingKey
) -> None:
    assert checked_targeting_key(kind, parameter) == expected


def test_evaluation_context_names_its_targeting_key() -> None:
    assert read_evaluation_context({"targetingKey": "u1", "a": "b"}) == subject(
        id=VisitorId(third_party_id="u1"), parameters={"a": "b"}
    )


@each_case(
    "attributes",
    [
        {f"p{n}": "x" for n in range(50)},
        {f"profile.p{n}": "x" for n in range(50)},
        {"x" * 128: "v" * 5000},
        {"profile": {"x" * 128: {}}},
    ],
)
def test_most_and_longest_parameters_are_read(attributes: dict[str, Any]) -> None:
    read = read_context(None, attributes)
    found = read.parameters | {f"profile.{name}": one for name, one in read.profile_parameters.items()}
    assert found == {name: one for name, one in attributes.items() if isinstance(one, str)}


def test_context_of_a_prepared_visitor_has_parameters_only() -> None:
    assert read_parameters({"a": 1, "mbox.b": {"c": True}}) == {"a": "1", "b.c": "true"}
    for name in ("targetingKey", "tntId", "geo"):
        with pytest.raises(FlagError, match=rf"context\.{name}: belongs to the visitor"):
            read_parameters({name: "x"})
    with pytest.raises(FlagError, match=r"context\.profile: belongs to no prepared visitor"):
        read_parameters({"profile.a": 1})


def nested(levels: int) -> Any:
    tree: Any = "x"
    for _ in range(levels):
        tree = {"a": tree}
    return tree


def listed(levels: int) -> Any:
    tree: Any = []
    for _ in range(levels):
        tree = [tree]
    return tree


@each_case(
    "attributes, message",
    [
        ({"url": 3}, "context.url: must be a str, not int"),
        ({"url": "x" * 4097}, "context.url: must have at most 4096"),
        ({"tntId": ""}, "context.tntId: must not be empty"),
        ({"tntId": "x" * 129}, "context.tntId: "),
        ({"sessionId": "a b"}, "context.sessionId: "),
        ({"channel": "tv"}, "context.channel: must be web or mobile"),
        ({"geo": {"latitude": "x"}}, "context.geo.latitude: "),
        ({"geo": 3}, "context.geo: "),
        ({"clientHints": {"mobile": "yes"}}, "context.clientHints.mobile: "),
        ({"context": []}, "context.context: "),
        ({"order": {"total": -1}}, "context.order.total: "),
        ({"customerIds": 3}, "context.customerIds: "),
        ({f"p{n}": 1 for n in range(51)}, "context.parameters: more than 50"),
        ({f"profile.p{n}": 1 for n in range(51)}, "context.profile_parameters: more than 50"),
        ({"x" * 129: 1}, "must have a name of 1 to 128"),
        ({" ": 1}, "must have a name of 1 to 128"),
        ({"mbox.": 1}, "must have a name of 1 to 128"),
        ({"x": "v" * 5001}, "context.x: must have at most 5000"),
        ({"x": 10**6000}, "context.x: "),
        ({"x": float("nan")}, "context.x: must be a finite number"),
        ({"x": [float("inf")]}, "context.x: cannot be written as JSON"),
        ({"x": {1, 2}}, "context.x: must be a text"),
        ({"x": b"a"}, "context.x: must be a text"),
        ({"x": "\ud800"}, "context.x: holds a lone surrogate"),
        ({"\ud800": "x"}, "holds a lone surrogate"),
        ({"profile.\ud800": "x"}, "holds a lone surrogate"),
        ({"context": {"userAgnet": "x"}}, "context.context.userAgnet: is not a field of Context"),
        ({"geo": {"country": "IT"}}, "context.geo.country: is not a field of Geo"),
        ({"order": {"amount": 1}}, "context.order.amount: is not a field of Order"),
        ({"orderId": "o"}, "context.orderId: "),
        ({"mbox.orderTotal": 1}, "context.mbox.orderTotal: "),
        ({1: "a"}, "has the name 1"),
        (nested(10_000), "a name has more than 128"),
        ({"x": listed(100_000)}, "context: is nested too deeply"),
    ],
)
def test_context_that_no_request_can_represent_raises_with_its_path(
    attributes: dict[Any, Any], message: str
) -> None:
    with pytest.raises(FlagError) as caught:
        read_context("u1", attributes)
    assert caught.value.code == "INVALID_CONTEXT"
    assert message in str(caught.value)


def test_targeting_key_that_is_too_long_raises() -> None:
    with pytest.raises(FlagError, match="targetingKey"):
        read_context("x" * 129, {})


def test_result_shares_no_object_with_the_context() -> None:
    geo = {"countryCode": "IT"}
    given = {"geo": geo, "context": {"address": {"url": "u"}}}
    read = read_context(None, given)
    read.context.geo.city = "Rome"  # type: ignore[union-attr]
    assert given == {"geo": {"countryCode": "IT"}, "context": {"address": {"url": "u"}}}


@given(st.one_of(st.none(), anything), st.dictionaries(st.text(), anything))
def test_any_context_is_read_or_raises_flag_error(key: Any, attributes: dict[str, Any]) -> None:
    error = None
    try:
        read_context(key, attributes, TargetingKey(parameter="k"))
    except FlagError as caught:
        error = caught
    assert error is None or error.code == "INVALID_CONTEXT"
