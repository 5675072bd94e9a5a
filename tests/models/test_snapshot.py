"""Rejections of snapshots: paths and reasons."""

import datetime
import enum
import math
import pickle
from uuid import UUID

import pytest

from models.samples import context, mbox
from models.strategies import Hostile, Stranger
from support.cases import each_case
from targetry.models import (
    ConstraintError,
    Context,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    ModelProperty,
    Notification,
    Order,
    PrefetchRequest,
    RequestDetails,
    Telemetry,
    TelemetryEntry,
    Trace,
    ViewRequest,
    VisitorId,
    snapshot,
)

EITHER_WAY = pytest.mark.parametrize("wire", [False, True], ids=["on device", "on the wire"])


class Colour(enum.Enum):
    RED = "red"


def refusal(request, *, wire=False):
    with pytest.raises(ConstraintError) as caught:
        snapshot(request, wire=wire)
    assert str(caught.value) == f"{caught.value.path}: {caught.value.reason}"
    return caught.value.path, caught.value.reason


# --- what is wrong, and where ---

REFUSED = [
    pytest.param(
        mbox(name=5), "request.execute.mboxes[1].name", "must be a string, not int", id="number for a string"
    ),
    pytest.param(
        mbox(name=b"m"),
        "request.execute.mboxes[1].name",
        "must be a string, not bytes",
        id="bytes for a string",
    ),
    pytest.param(
        mbox(name=UUID(int=1)),
        "request.execute.mboxes[1].name",
        "must be a string, not UUID",
        id="UUID for a string",
    ),
    pytest.param(
        mbox(name=datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
        "request.execute.mboxes[1].name",
        "must be a string, not datetime",
        id="time for a string",
    ),
    pytest.param(
        mbox(index="1"),
        "request.execute.mboxes[1].index",
        "must be an integer, not str",
        id="string for a number",
    ),
    pytest.param(
        mbox(index=True),
        "request.execute.mboxes[1].index",
        "must be an integer, not bool",
        id="bool for a number",
    ),
    pytest.param(
        mbox(index=1.5),
        "request.execute.mboxes[1].index",
        "must be an integer, not 1.5",
        id="fraction for a whole number",
    ),
    pytest.param(
        mbox(index=2**31),
        "request.execute.mboxes[1].index",
        "must not be greater than 2147483647",
        id="too great",
    ),
    pytest.param(
        mbox(parameters={"foo": ["bar"]}),
        "request.execute.mboxes[1].parameters['foo']",
        "must be a string, a number or a boolean, not list",
        id="list as a parameter",
    ),
    pytest.param(
        mbox(parameters={"foo": "x" * 5001}),
        "request.execute.mboxes[1].parameters['foo']",
        "must have at most 5000 characters, has 5001",
        id="long parameter",
    ),
    pytest.param(
        mbox(parameters={"foo": math.nan}),
        "request.execute.mboxes[1].parameters['foo']",
        "must be a finite number",
        id="NaN as a parameter",
    ),
    pytest.param(
        mbox(parameters={"x" * 129: "v"}),
        "request.execute.mboxes[1].parameters['" + "x" * 40 + "…']",
        "the name must have at most 128 characters, has 129",
        id="long name of a parameter",
    ),
    pytest.param(
        mbox(profile_parameters={"": "v"}),
        "request.execute.mboxes[1].profile_parameters['']",
        "the name must not be empty",
        id="empty name of a parameter",
    ),
    pytest.param(
        mbox(profile_parameters={"a": "v", " \t": "v"}),
        "request.execute.mboxes[1].profile_parameters[' \\t']",
        "the name must not be blank",
        id="blank name of a parameter",
    ),
    pytest.param(
        mbox(parameters={1: "v"}),
        "request.execute.mboxes[1].parameters[1]",
        "the name must be a string, not int",
        id="number as the name of a parameter",
    ),
    pytest.param(
        mbox(parameters=[("a", "b")]),
        "request.execute.mboxes[1].parameters",
        "must be a mapping, not list",
        id="list for a mapping",
    ),
    pytest.param(
        mbox(parameters={str(number): "" for number in range(51)}),
        "request.execute.mboxes[1].parameters",
        "must have at most 50 entries, has 51",
        id="many parameters",
    ),
    pytest.param(
        mbox(order=Order(purchased_product_ids=[None])),
        "request.execute.mboxes[1].order.purchased_product_ids[0]",
        "must not be null",
        id="null in a list of strings",
    ),
    pytest.param(
        mbox(order=Order(total=-0.5)),
        "request.execute.mboxes[1].order.total",
        "must not be less than 0",
        id="negative total",
    ),
    pytest.param(
        mbox(order=Order(duplicate="yes")),
        "request.execute.mboxes[1].order.duplicate",
        "must be a boolean, not str",
        id="string for a boolean",
    ),
    pytest.param(
        mbox(order=Order(time="yesterday")),
        "request.execute.mboxes[1].order.time",
        "must be a time in ISO 8601 form, not 'yesterday'",
        id="no time",
    ),
    pytest.param(
        DeliveryRequest(execute=ExecuteRequest(mboxes=[None])),
        "request.execute.mboxes[0]",
        "must not be null",
        id="null in a list of models",
    ),
    pytest.param(
        DeliveryRequest(execute=ExecuteRequest(mboxes=MboxRequest())),
        "request.execute.mboxes",
        "must be a list, not MboxRequest",
        id="model for a list",
    ),
    pytest.param(
        DeliveryRequest(execute=ExecuteRequest(mboxes=[ViewRequest(name="v")])),
        "request.execute.mboxes[0]",
        "must be MboxRequest, not ViewRequest",
        id="model of another class with the same fields",
    ),
    pytest.param(
        DeliveryRequest(execute=PrefetchRequest()),
        "request.execute",
        "must be ExecuteRequest, not PrefetchRequest",
        id="model of another class, empty",
    ),
    pytest.param(
        context(address=Context(channel="web")),
        "request.context.address",
        "must be Address, not Context",
        id="model of another class",
    ),
    pytest.param(
        context(address="http://a"),
        "request.context.address",
        "must be Address, not str",
        id="string for a model",
    ),
    pytest.param(
        context(channel="tv"),
        "request.context.channel",
        "must be one of: mobile, web; not 'tv'",
        id="not one of the words",
    ),
    pytest.param(
        context(channel="w" * 99),
        "request.context.channel",
        "must be one of: mobile, web; not '" + "w" * 40 + "…'",
        id="a long word",
    ),
    pytest.param(
        context(channel=Colour.RED),
        "request.context.channel",
        "must be one of: mobile, web; not 'red'",
        id="another enum",
    ),
    pytest.param(context(channel=None), "request.context.channel", "is required", id="no channel"),
    pytest.param(
        context(geo=Geo(latitude=math.inf)),
        "request.context.geo.latitude",
        "must be a finite number",
        id="infinite",
    ),
    pytest.param(
        context(geo=Geo(latitude=10**400)),
        "request.context.geo.latitude",
        "must be a finite number",
        id="huge integer",
    ),
    pytest.param(
        context(beacon=0), "request.context.beacon", "must be a boolean, not int", id="number for a boolean"
    ),
    pytest.param(
        DeliveryRequest(request_id="r" * 130),
        "request.request_id",
        "must have at most 128 characters, has 130",
        id="long id",
    ),
    pytest.param(
        DeliveryRequest(_property=ModelProperty()),
        "request._property.token",
        "is required",
        id="property without token",
    ),
    pytest.param(
        DeliveryRequest(id=VisitorId(customer_ids=[None])),
        "request.id.customer_ids[0]",
        "must not be null",
        id="null customer",
    ),
    pytest.param(
        DeliveryRequest(id=VisitorId(customer_ids=[CustomerId("a", "b", "unknown"), CustomerId("a", "b")])),
        "request.id.customer_ids[1].authenticated_state",
        "is required",
        id="customer without state",
    ),
    pytest.param(
        DeliveryRequest(notifications=[Notification(id="n" * 201)]),
        "request.notifications[0].id",
        "must have at most 200 characters, has 201",
        id="long notification id",
    ),
    pytest.param(
        DeliveryRequest(notifications=[Notification(parameters={" ": 1})]),
        "request.notifications[0].parameters[' ']",
        "the name must not be blank",
        id="blank name in a notification",
    ),
    pytest.param(
        DeliveryRequest(prefetch=PrefetchRequest(views=[ViewRequest(), ViewRequest(parameters={" ": 1})])),
        "request.prefetch.views[1].parameters[' ']",
        "the name must not be blank",
        id="blank name in a view",
    ),
    pytest.param(
        DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(parameters={" ": 1})])),
        "request.prefetch.mboxes[0].parameters[' ']",
        "the name must not be blank",
        id="blank name in a prefetched mbox",
    ),
    pytest.param(
        DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails(parameters={" ": 1}))),
        "request.execute.page_load.parameters[' ']",
        "the name must not be blank",
        id="blank name in an executed pageLoad",
    ),
    pytest.param(
        DeliveryRequest(prefetch=PrefetchRequest(page_load=RequestDetails(parameters={" ": 1}))),
        "request.prefetch.page_load.parameters[' ']",
        "the name must not be blank",
        id="blank name in a pageLoad",
    ),
    pytest.param(
        DeliveryRequest(telemetry=Telemetry(entries=[TelemetryEntry(mode="cloud")])),
        "request.telemetry.entries[0].mode",
        "must be one of: edge, local; not 'cloud'",
        id="not one of the words, deep",
    ),
    pytest.param(Context(), "request", "must be DeliveryRequest, not Context", id="another model"),
    pytest.param(None, "request", "must be DeliveryRequest, not null", id="None"),
    pytest.param([], "request", "must be DeliveryRequest, not list", id="list"),
    pytest.param(Stranger(), "request", "must be DeliveryRequest, not Stranger", id="foreign object"),
    pytest.param(Hostile(), "request", "cannot be read: RuntimeError", id="mapping that raises"),
    pytest.param(
        {"execute": {"mboxes": [{"name": "m"}, {"name": 5}]}},
        "request.execute.mboxes[1].name",
        "must be a string, not int",
        id="wire names, path in attribute names",
    ),
    pytest.param(
        {"property": {}},
        "request._property.token",
        "is required",
        id="wire name property, path in attribute names",
    ),
    pytest.param(
        {"context": {"channel": "web", "browser": {"webGLRenderer": 1}}},
        "request.context.browser.web_gl_renderer",
        "must be a string, not int",
        id="odd wire name",
    ),
]


@EITHER_WAY
@pytest.mark.parametrize(("request_", "path", "reason"), REFUSED)
def test_error_has_path_and_reason(request_, path, reason, wire):
    assert refusal(request_, wire=wire) == (path, reason)


@each_case(
    "request_, path, reason",
    [
        pytest.param(
            context(geo=Geo(country_code="USA")),
            "request.context.geo.country_code",
            "must have exactly 2 characters, has 3",
            id="country",
        ),
        pytest.param(
            context(geo=Geo(country_code="US", state_code="CALIFORNIA")),
            "request.context.geo.state_code",
            "must have 1 to 3 characters, has 10",
            id="state",
        ),
        pytest.param(
            context(geo=Geo(state_code="")),
            "request.context.geo.state_code",
            "must have 1 to 3 characters, has 0",
            id="empty state",
        ),
        pytest.param(
            DeliveryRequest(trace=Trace()), "request.trace.authorization_token", "is required", id="trace"
        ),
    ],
)
def test_some_limits_hold_on_the_wire_only(request_, path, reason):
    assert refusal(request_, wire=True) == (path, reason)
    assert snapshot(request_, wire=False) == request_


# --- what is left to others ---


@EITHER_WAY
@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(DeliveryRequest(), id="no context"),
        pytest.param(mbox(index=None), id="mbox without name and index"),
        pytest.param(mbox(name=""), id="mbox with an empty name"),
        pytest.param(DeliveryRequest(notifications=[Notification()]), id="empty notification"),
        pytest.param(
            DeliveryRequest(notifications=[Notification(id="", type="hover", timestamp=1)]), id="other words"
        ),
        pytest.param(context(geo=Geo(ip_address="999.1.1.1")), id="no IP address"),
        pytest.param(context(geo=Geo(ip_address="unknownIpAddress")), id="unknown IP address"),
    ],
)
def test_values_repaired_by_the_preparation_are_accepted(request_, wire):
    assert snapshot(request_, wire=wire) == request_


def test_zone_that_raises_is_an_error():
    class Zone(datetime.tzinfo):
        def utcoffset(self, when):
            raise RuntimeError("no")

    time = datetime.datetime(2024, 1, 1, tzinfo=Zone())
    path, reason = refusal(mbox(order=Order(time=time)))
    assert path == "request.execute.mboxes[1].order.time"
    assert reason == "must be a time in ISO 8601 form, not datetime with a broken zone"


# --- what has no end ---


def cyclic_list():
    items = []
    items.append(items)
    return items


def cyclic_dict():
    items = {}
    items.update(execute=items, mboxes=[items], parameters=items)
    return items


def deep(wrap):
    value = "x"
    for _ in range(10_000):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "value",
    [cyclic_list(), deep(lambda inner: [inner]), deep(lambda inner: {"a": inner})],
    ids=["cycle", "list", "dict"],
)
def test_endless_value_raises(value):
    assert (
        refusal({"execute": {"mboxes": [{"parameters": {"a": value}}]}})[0]
        == "request.execute.mboxes[0].parameters['a']"
    )
    assert refusal(mbox(name=value))[0] == "request.execute.mboxes[1].name"


def test_only_fields_of_a_request_are_read_from_a_cycle():
    assert refusal(cyclic_dict()) == (
        "request.execute.mboxes[0].parameters['execute']",
        "must be a string, a number or a boolean, not dict",
    )


def test_ten_thousand_mboxes_are_accepted_either_way():
    mboxes = [MboxRequest(name=str(number)) for number in range(10_000)]
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=mboxes))
    assert snapshot(request, wire=True) == request
    request.execute.mboxes = tuple(mboxes)
    assert snapshot(request, wire=True).execute.mboxes == mboxes


def test_error_is_a_value_error_and_survives_pickle():
    error = pickle.loads(pickle.dumps(ConstraintError("request.id", "is wrong")))
    assert isinstance(error, ValueError)
    assert (error.path, error.reason, str(error)) == ("request.id", "is wrong", "request.id: is wrong")
