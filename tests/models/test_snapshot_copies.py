"""Accepted requests and the independence of their copies."""

import collections
import datetime
import enum
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.samples import context, mbox
from models.strategies import JUNK, MODELS, instances
from support.cases import each_case
from support.examples import examples
from targetry.models import (
    Address,
    ChannelType,
    ConstraintError,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MetricType,
    Model,
    Notification,
    Order,
    Screen,
    snapshot,
)

EITHER_WAY = pytest.mark.parametrize("wire", [False, True], ids=["on device", "on the wire"])


class Safe(str):
    """As a template engine's string."""

    def __str__(self):
        raise AssertionError("its own methods are not to be used")


class Shuffled(list):
    def __iter__(self):
        return reversed(self)


class Whole(enum.IntEnum):
    THREE = 3


ACCEPTED = [
    pytest.param(mbox(name=Safe("m")), mbox(name="m"), id="subclass of str"),
    pytest.param(mbox(index=Whole.THREE), mbox(index=3), id="subclass of int"),
    pytest.param(mbox(name=Safe("m"), index=Whole.THREE), mbox(name="m", index=3), id="several subclasses"),
    pytest.param(
        mbox(name=Safe("m"), index=2**31 - 1),
        mbox(name="m", index=2**31 - 1),
        id="subclass, and a limit reached",
    ),
    pytest.param(
        mbox(name=Safe("n" * 9), profile_parameters={"x" * 128: "v" * 5000}),
        mbox(name="n" * 9, profile_parameters={"x" * 128: "v" * 5000}),
        id="subclass, and lengths reached",
    ),
    pytest.param(
        mbox(name=Safe("m"), order=Order(purchased_product_ids=Shuffled(["a", "b"]))),
        mbox(name="m", order=Order(purchased_product_ids=["b", "a"])),
        id="list that iterates in its own way",
    ),
    pytest.param(
        mbox(parameters=collections.OrderedDict(a="b")), mbox(parameters={"a": "b"}), id="subclass of dict"
    ),
    pytest.param(mbox(parameters=MappingProxyType({"a": 1})), mbox(parameters={"a": 1}), id="mapping"),
    pytest.param(
        mbox(parameters={Safe("a"): Safe("b")}), mbox(parameters={"a": "b"}), id="subclasses in a mapping"
    ),
    pytest.param(
        DeliveryRequest(execute=ExecuteRequest(mboxes=(MboxRequest(name="m"),))),
        DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="m")])),
        id="tuple for a list",
    ),
    pytest.param(
        DeliveryRequest(execute={"mboxes": [{"name": "m"}]}),
        DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="m")])),
        id="mapping inside a model",
    ),
    pytest.param(
        {"execute": {"mboxes": [MboxRequest(name="m")]}},
        DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="m")])),
        id="model inside a mapping",
    ),
    pytest.param(
        MappingProxyType({"context": MappingProxyType({"channel": "web"})}),
        context(),
        id="mapping for the whole",
    ),
    pytest.param(
        {"context": {"channel": "web", "geo": None, "beacon": None}}, context(beacon=None), id="nulls"
    ),
    pytest.param({"sessionId": "s", "context": {"channel": "web", "new": 1}}, context(), id="unknown keys"),
    pytest.param(context(channel=ChannelType.WEB), context(channel="web"), id="enum member"),
    pytest.param(
        DeliveryRequest(notifications=[Notification(id="n", type=MetricType.CLICK)]),
        DeliveryRequest(notifications=[Notification(id="n", type="click")]),
        id="enum member where anything may be",
    ),
    pytest.param(
        context(screen=Screen(width=3)), context(screen=Screen(width=3.0)), id="integer for a float"
    ),
    pytest.param(
        mbox(order=Order(time="2024-02-29T01:00:00+01:00")),
        mbox(order=Order(time=datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC))),
        id="text for a time",
    ),
    pytest.param(context(user_agent="\ud83d"), context(user_agent="\ud83d"), id="lone surrogate"),
    pytest.param(
        mbox(parameters={"a": 1, "b": 1.5, "c": True, "d": None, "e": ""}),
        mbox(parameters={"a": 1, "b": 1.5, "c": True, "d": None, "e": ""}),
        id="parameters of every type",
    ),
    pytest.param(
        context(geo=Geo(ip_address=" fe80::1%eth0 ")),
        context(geo=Geo(ip_address=" fe80::1%eth0 ")),
        id="IP address",
    ),
]


@EITHER_WAY
@pytest.mark.parametrize(("request_", "expected"), ACCEPTED)
def test_is_accepted_and_made_plain(request_, expected, wire):
    result = snapshot(request_, wire=wire)
    assert result == expected
    assert classes_in(result) <= {*MODELS, list, dict, str, int, float, bool, datetime.datetime, type(None)}


def test_time_stays_a_time():
    time = datetime.datetime(2024, 2, 29, 1, 2, 3, 4)  # noqa: DTZ001  a naive time is allowed
    assert snapshot(mbox(order=Order(time=time)), wire=True).execute.mboxes[1].order.time == time


@each_case("year", [1, 9999])
@each_case("hours", [-23, 23])
def test_time_at_the_end_of_the_calendar_is_accepted(year, hours):
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    day = (
        datetime.datetime(year, 1, 1, tzinfo=zone)
        if year == 1
        else datetime.datetime(year, 12, 31, 23, tzinfo=zone)
    )
    request = mbox(order=Order(time=day))
    assert snapshot(request, wire=True) == request


def test_subclass_of_a_model_becomes_the_model():
    class MyRequest(DeliveryRequest):
        note: str | None = None

    class MyAddress(Address):
        pass

    result = snapshot(
        MyRequest(context=Context(channel="web", address=MyAddress(url="u")), note="n"), wire=True
    )
    assert result == context(address=Address(url="u"))


def test_deleted_attribute_counts_as_unset():
    request = context()
    del request.context.address
    assert snapshot(request, wire=True) == context()


@given(request=instances(DeliveryRequest), wire=st.booleans())
def test_snapshot_is_equal_and_shares_nothing_that_can_change(request, wire):
    result = snapshot(request, wire=wire)
    assert result == request
    assert mutables_in(result).isdisjoint(mutables_in(request))


@settings(max_examples=examples(50))
@given(request=instances(DeliveryRequest))
def test_wire_form_gives_the_same_snapshot(request):
    wire = msgspec.json.decode(request.to_json())
    result = snapshot(wire, wire=True)
    assert result == snapshot(request, wire=True)
    assert mutables_in(result).isdisjoint(mutables_in(wire))


@settings(max_examples=examples(50))
@given(request=instances(DeliveryRequest))
def test_models_inside_a_mapping_are_copied(request):
    whole = {key: getattr(request, name) for name, key in DeliveryRequest.attribute_map.items()}
    result = snapshot(whole, wire=True)
    assert result == request
    assert mutables_in(result).isdisjoint(mutables_in(whole))


@given(junk=JUNK | st.builds(lambda **given: given, execute=JUNK, context=JUNK, id=JUNK, notifications=JUNK))
def test_no_junk_raises_anything_else(junk):
    only_ours(junk)


@settings(max_examples=examples(200))
@given(data=st.data())
def test_no_model_with_junk_in_it_raises_anything_else(data):
    request = data.draw(instances(DeliveryRequest))
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(models_in(request)))
        setattr(target, data.draw(st.sampled_from(target.__struct_fields__)), data.draw(JUNK))
    only_ours(request)


@settings(max_examples=examples(200))
@given(data=st.data())
def test_no_mapping_with_junk_in_it_raises_anything_else(data):
    wire = msgspec.json.decode(data.draw(instances(DeliveryRequest)).to_json())
    for _ in range(data.draw(st.integers(1, 3))):
        target = data.draw(st.sampled_from(dicts_in(wire)))
        target[data.draw(st.sampled_from([*target, "mboxes", "geo", "order"]))] = data.draw(JUNK)
    only_ours(wire)


def only_ours(request):
    try:
        result = snapshot(request, wire=False)
    except ConstraintError:
        return
    assert snapshot(result, wire=False) == result


def parts_of(value):
    if isinstance(value, Model):
        return [getattr(value, name) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def all_in(value):
    return [value, *(inner for part in parts_of(value) for inner in all_in(part))]


def models_in(value):
    return [part for part in all_in(value) if isinstance(part, Model)]


def dicts_in(value):
    return [part for part in all_in(value) if isinstance(part, dict)]


def classes_in(value):
    return {type(part) for part in all_in(value)}


def mutables_in(value):
    return {id(part) for part in all_in(value) if isinstance(part, Model | dict | list)}
