"""Mappings and sequences of other classes than dict and list are read by their methods."""

import itertools
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from requests.structures import CaseInsensitiveDict
from starlette.datastructures import Headers, ImmutableMultiDict, QueryParams
from werkzeug.datastructures import CombinedMultiDict, MultiDict

from models.samples import mbox
from support.cases import each_case
from targetry.models import (
    ConstraintError,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    Notification,
    Order,
    PrefetchRequest,
    QAMode,
    RequestDetails,
    Telemetry,
    TelemetryEntry,
    Trace,
    ViewRequest,
    VisitorId,
    snapshot,
)
from targetry.models.containers import MAX_ENTRIES, read_iterable, read_mapping, read_sequence

PAIRS = [("utm", "a"), ("utm", "b"), ("q", "x")]


class LastOfEach(dict):
    """Keeps lists and shows the last of each, as Django's QueryDict does."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            dict.setdefault(self, name, []).append(value)

    def __getitem__(self, name):
        return dict.__getitem__(self, name)[-1]

    def items(self):
        return [(name, self[name]) for name in self]


class Upper(dict):
    """Shows other values than it stores, of the same type."""

    def items(self):
        return [(name, value.upper()) for name, value in dict.items(self)]


class AllPairs(Mapping):
    """Lists every value of a name in `items()`, as the query of aiohttp does."""

    def __init__(self, pairs):
        self.pairs = pairs

    def __getitem__(self, name):
        return next(value for key, value in self.pairs if key == name)

    def __iter__(self):
        return iter(dict(self.pairs))

    def __len__(self):
        return len(self.pairs)

    def items(self):
        return self.pairs


class Backwards(list):
    def __iter__(self):
        return reversed(self)


class BackwardsTuple(tuple):
    __slots__ = ()

    def __iter__(self):
        return reversed(self)


class Endless(dict):
    def items(self):
        return ((str(number), "") for number in itertools.count())


def mappings():
    first, last = {"utm": "a", "q": "x"}, {"utm": "b", "q": "x"}
    yield pytest.param(MultiDict(PAIRS), first, id="werkzeug")
    yield pytest.param(
        CombinedMultiDict([MultiDict(PAIRS), MultiDict({"z": "w"})]), first | {"z": "w"}, id="combined"
    )
    yield pytest.param(QueryParams("utm=a&utm=b&q=x"), last, id="starlette")
    yield pytest.param(ImmutableMultiDict(PAIRS), last, id="starlette immutable")
    yield pytest.param(Headers({"utm": "a", "q": "x"}), first, id="starlette headers")
    yield pytest.param(CaseInsensitiveDict(first), first, id="requests")
    yield pytest.param(LastOfEach(PAIRS), last, id="dict of lists")
    yield pytest.param(Upper(first), {"utm": "A", "q": "X"}, id="dict with other items")
    yield pytest.param(AllPairs(PAIRS), first, id="all pairs")
    for kind in (OrderedDict, UserDict, ChainMap, MappingProxyType, lambda given: defaultdict(str, given)):
        yield pytest.param(kind(first), first, id=type(kind(first)).__name__)


@each_case("name", ["parameters", "profile_parameters"])
@each_case("given, shown", [*mappings()])
@each_case("place", ["mbox", "view", "page", "notification", "wire"])
def test_parameters_are_the_items_of_the_mapping(given, shown, name, place):
    match place:
        case "mbox":
            request = mbox(**{name: given})
        case "view":
            request = DeliveryRequest(prefetch=PrefetchRequest(views=[ViewRequest(**{name: given})]))
        case "page":
            request = DeliveryRequest(execute=ExecuteRequest(page_load=RequestDetails(**{name: given})))
        case "notification":
            request = DeliveryRequest(notifications=[Notification(id="n", **{name: given})])
        case _:
            wire_name = MboxRequest.attribute_map[name]
            request = {"execute": {"mboxes": [{"name": "m", wire_name: given}]}}
    copy = snapshot(request, wire=True)
    parts = (copy.execute and copy.execute.mboxes, copy.prefetch and copy.prefetch.views, copy.notifications)
    location = next((part[-1] for part in parts if part), copy.execute and copy.execute.page_load)
    found = getattr(location, name)
    assert type(found) is dict
    assert found == shown


@each_case("kind", [Upper, UserDict, MappingProxyType, OrderedDict])
def test_request_can_contain_such_mappings_at_each_level(kind):
    inner = kind({"name": "M"})
    request = (
        kind({"execute": kind({"mboxes": [inner]})})
        if kind is not Upper
        else {"execute": {"mboxes": [inner]}}
    )
    assert snapshot(request, wire=True).execute.mboxes == [MboxRequest(name="M")]


def test_other_mappings_of_a_request_are_read_by_their_items():
    trace = Trace(authorization_token="t", usage=Upper(a="b"))
    assert snapshot(DeliveryRequest(trace=trace), wire=True).trace.usage == {"a": "B"}


@pytest.mark.parametrize("kind", [Backwards, BackwardsTuple])
def test_lists_of_a_request_are_read_by_iteration(kind):
    one, two = MboxRequest(name="1"), MboxRequest(name="2")
    views = [ViewRequest(name="1"), ViewRequest(name="2")]
    notifications = [Notification(id="1"), Notification(id="2")]
    entries = [TelemetryEntry(timestamp=1), TelemetryEntry(timestamp=2)]
    request = DeliveryRequest(
        execute=ExecuteRequest(mboxes=kind([one, two])),
        prefetch=PrefetchRequest(mboxes=kind([one, two]), views=kind(views)),
        notifications=kind(notifications),
        telemetry=Telemetry(kind(entries)),
        qa_mode=QAMode(evaluate_as_true_audience_ids=kind([1, 2])),
        id=VisitorId(customer_ids=kind([])),
    )
    for field in ("execute", "prefetch", "notifications", "telemetry", "qa_mode", "id"):
        copy = snapshot(DeliveryRequest(**{field: getattr(request, field)}), wire=True)
        assert snapshot(request, wire=True).__getattribute__(field) == getattr(copy, field)
    assert [one.name for one in snapshot(request, wire=True).execute.mboxes] == ["2", "1"]
    assert [one.name for one in snapshot(request, wire=True).prefetch.views] == ["2", "1"]
    assert [one.id for one in snapshot(request, wire=True).notifications] == ["2", "1"]
    assert snapshot(request, wire=True).qa_mode.evaluate_as_true_audience_ids == [2, 1]
    tokens = Notification(id="n", tokens=kind(["a", "b"]))
    assert snapshot(DeliveryRequest(notifications=[tokens]), wire=True).notifications[0].tokens == ["b", "a"]


@pytest.mark.parametrize("kind", [tuple, deque, UserList], ids=lambda kind: kind.__name__)
def test_sequence_of_any_class_is_a_list(kind):
    request = mbox(name="m", order=Order(purchased_product_ids=kind(["a", "b"])))
    assert snapshot(request, wire=True).execute.mboxes[1].order.purchased_product_ids == ["a", "b"]


@each_case("value", ["ab", b"ab", bytearray(b"ab"), memoryview(b"ab"), {"a", "b"}, 5, None])
def test_text_and_unordered_values_are_no_sequences(value):
    assert read_sequence(value) is None


@each_case("value", ["ab", [("a", "b")], 5, None, {"a"}])
def test_value_without_keys_is_no_mapping(value):
    assert read_mapping(value) is None


def test_endless_value_raises_with_its_path():
    with pytest.raises(ConstraintError) as caught:
        snapshot(mbox(name="m", parameters=Endless(a="b")), wire=True)
    assert caught.value.path == "request.execute.mboxes[1].parameters"
    assert caught.value.reason == f"must not have more than {MAX_ENTRIES} entries"


def test_greatest_number_of_entries_is_allowed():
    assert len(read_iterable(iter(range(MAX_ENTRIES)))) == MAX_ENTRIES
    with pytest.raises(ValueError, match="must not have more"):
        read_iterable(iter(range(MAX_ENTRIES + 1)))


def test_model_reads_mappings_by_their_items():
    text = MboxRequest(name="m", parameters=CombinedMultiDict([MultiDict(PAIRS)])).to_json()
    assert text == '{"parameters":{"utm":"a","q":"x"},"name":"m"}'
    read = MboxRequest.from_dict({"name": "m", "parameters": Upper(a="b")})
    assert read == MboxRequest(name="m", parameters={"a": "B"})


def test_broken_mapping_raises_with_its_path():
    class Broken(dict):
        def items(self):
            raise RuntimeError("no")

    with pytest.raises(ConstraintError) as caught:
        snapshot(mbox(name="m", parameters=Broken(a="b")), wire=True)
    assert str(caught.value) == "request.execute.mboxes[1].parameters: cannot be read: RuntimeError"
