"""Uses of the models, read by mypy and pyright only: an ignore marks what must fail."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID

from targetry.models import (
    Address,
    AuthenticatedState,
    ChannelType,
    ConstraintError,
    Context,
    CustomerId,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MetricType,
    ModelProperty,
    Notification,
    Option,
    OptionType,
    Order,
    RequestDetails,
    VisitorId,
    snapshot,
)

# Words: the member or its plain string.
Context(channel=ChannelType.WEB)
Context(channel="web")
Context(channel="tv")  # type: ignore[arg-type]
Context(channel=MetricType.CLICK)  # type: ignore[arg-type]
CustomerId(id="a", integration_code="b", authenticated_state="logged_out")
CustomerId("a", "b", AuthenticatedState.LOGGED_OUT)
Notification(id="n", type=MetricType.DISPLAY, timestamp=1)
Notification(id="n", type="display", timestamp=1)
Notification(id="n", type="hover", timestamp=1)  # type: ignore[arg-type]
context = Context()
context.channel = "mobile"
context.channel = ChannelType.MOBILE
context.channel = "tv"  # type: ignore[assignment]


def channel_of(context: Context) -> str:
    return context.channel if context.channel == "web" else "other"


def is_web(context: Context) -> bool:
    return context.channel == ChannelType.WEB


# An answer may hold words that are not known here.
Option(type=OptionType.HTML)
Option(type="hologram")
assert_type(Option().type, OptionType | str | None)
assert_type(Option().content, Any)

# Everything may be left out; nothing may be misspelt or of another type.
DeliveryRequest()
DeliveryRequest(context=None)
DeliveryRequest(_property=ModelProperty(token="t"))
DeliveryRequest("request", "impression", VisitorId(tnt_id="t"))
DeliveryRequest(property=ModelProperty())  # type: ignore[call-arg]
Address(uri="u")  # type: ignore[call-arg]
Address(url=1)  # type: ignore[arg-type]
Geo(latitude=1, longitude=1.5)
Geo(latitude="1")  # type: ignore[arg-type]
Order(time=datetime.datetime.now(datetime.UTC))
Order(time=1700000000)  # type: ignore[arg-type]

# Fields that are given in more types than they are read in.
Notification(id=17, type="click", timestamp=1700000000000.5)
Notification(id=UUID(int=1), type="click", timestamp=Decimal(1700000000000))
Notification(timestamp=datetime.datetime.now(datetime.UTC))
Notification(timestamp="now")  # type: ignore[arg-type]
Notification(id=b"n")  # type: ignore[arg-type]
assert_type(Notification().timestamp, int | None)
assert_type(VisitorId(third_party_id=17).third_party_id, str | None)
Order(id=17, total=Decimal("19.90"), purchased_product_ids=[17, "b"])
Order(total="19.90")  # type: ignore[arg-type]
assert_type(Order().total, float | None)
Geo(ip_address=("203.0.113.7", 50000))
Geo(ip_address=5)  # type: ignore[arg-type]
request = DeliveryRequest(request_id=UUID(int=1))
request.environment_id = 5
request.environment_id = "5"  # type: ignore[assignment]
Context(address=Context())  # type: ignore[arg-type]
ExecuteRequest(mboxes=[MboxRequest(name="m", index=0)])
ExecuteRequest(mboxes=[RequestDetails()])  # type: ignore[list-item]
ExecuteRequest(page_load=MboxRequest())  # type: ignore[arg-type]
Address().uri = "u"  # type: ignore[attr-defined]

# Parameters: strings as the API has them, and other scalars as callers send them.
strings: dict[str, str] = {"a": "b"}
MboxRequest(parameters=strings)
MboxRequest(parameters={"a": 1, "b": None, "c": True, "d": 1.5})
MboxRequest(parameters=["a"])  # type: ignore[arg-type]
MboxRequest(parameters={1: "a"})  # type: ignore[dict-item]

# Reading gives the class that was asked.
assert_type(DeliveryResponse.from_json("{}"), DeliveryResponse)
assert_type(DeliveryResponse.from_json(b"{}"), DeliveryResponse)
assert_type(Geo.from_dict({"city": "Bern"}), Geo)
assert_type(Geo().to_json(), str)
assert_type(Geo().to_dict(), dict[str, Any])
assert_type(Geo.attribute_map, dict[str, str])
assert_type(Geo().openapi_types, dict[str, str])
Geo.from_json(1)  # type: ignore[arg-type]
Geo.from_dict([])  # type: ignore[arg-type]

# Optional parts must be looked at before they are used.
response = DeliveryResponse()
mboxes = response.execute.mboxes  # type: ignore[union-attr]
if response.execute is not None and response.execute.mboxes is not None:
    assert_type(response.execute.mboxes[0].index, int | None)

assert_type(snapshot(DeliveryRequest(), wire=True), DeliveryRequest)
assert_type(snapshot({"context": {"channel": "web"}}, wire=False), DeliveryRequest)
snapshot(DeliveryRequest())  # type: ignore[call-arg]
snapshot(Context(), wire=True)  # type: ignore[arg-type]

error: ValueError = ConstraintError("request.id", "is wrong")
