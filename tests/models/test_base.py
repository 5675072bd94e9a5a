import copy
import datetime
import enum
import json
import math
import pickle
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.strategies import MODELS, Hostile, Stranger, any_model, instances
from support.cases import each_case
from support.examples import examples
from targetry.models import (
    Action,
    Address,
    ChannelType,
    ConstraintError,
    Context,
    DeliveryRequest,
    DeliveryResponse,
    ExecuteRequest,
    Geo,
    MboxRequest,
    MboxResponse,
    Model,
    ModelProperty,
    Option,
    OptionType,
    Order,
    Product,
    QAMode,
    RequestDetails,
    View,
)
from targetry.models.reading import read
from targetry.models.scalars import ReadMode
from targetry.models.writing import _write_carefully


class Colour(enum.Enum):
    RED = 1


EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
UTC = datetime.UTC


def test_to_dict_has_python_names_in_order_of_declaration_and_nulls():
    assert list(Geo(city="Bern").to_dict().items()) == [
        ("ip_address", None),
        ("latitude", None),
        ("longitude", None),
        ("country_code", None),
        ("state_code", None),
        ("city", "Bern"),
        ("zip", None),
    ]


def test_to_dict_converts_models_in_fields_lists_and_dicts():
    response = MboxResponse(
        options=[Option(content=[Action(type="setHtml")], response_tokens={"a": Product(id="p")})]
    )
    option = response.to_dict()["options"][0]
    assert option["content"] == [{"type": "setHtml", "selector": None, "css_selector": None, "content": None}]
    assert option["response_tokens"] == {"a": {"id": "p", "category_id": None}}


def test_to_dict_has_strings_for_enum_members():
    assert type(Context(channel=ChannelType.WEB).to_dict()["channel"]) is str


def test_to_dict_keeps_the_underscore_of_property():
    assert DeliveryRequest(_property=ModelProperty(token="t")).to_dict()["_property"] == {"token": "t"}


def test_to_dict_shares_no_list_or_dict_with_the_model():
    details = RequestDetails(parameters={"a": "b"})
    details.to_dict()["parameters"]["a"] = "c"
    assert details.parameters == {"a": "b"}


def test_str_and_repr_are_the_pretty_printed_dict():
    page = ExecuteRequest(mboxes=[MboxRequest(name="m")], page_load=RequestDetails())
    assert page.to_str() == str(page) == repr(page)
    assert repr(Address(url="u")) == "{'referring_url': None, 'url': 'u'}"
    assert repr(Option(type=OptionType.HTML)).endswith("'type': 'html'}")


def test_to_json_has_wire_names_and_leaves_out_what_is_unset():
    request = DeliveryRequest(
        request_id="r", _property=ModelProperty(token="t"), qa_mode=QAMode(listed_activities_only=True)
    )
    assert json.loads(request.to_json()) == {
        "requestId": "r",
        "property": {"token": "t"},
        "qaMode": {"listedActivitiesOnly": True},
    }


@each_case(
    "model, wire",
    [
        pytest.param(QAMode(listed_activities_only=False), {"listedActivitiesOnly": False}, id="false"),
        pytest.param(Order(total=0), {"total": 0}, id="zero"),
        pytest.param(Address(url=""), {"url": ""}, id="empty string"),
        pytest.param(ExecuteRequest(mboxes=[]), {"mboxes": []}, id="empty list"),
        pytest.param(ExecuteRequest(page_load=RequestDetails()), {"pageLoad": {}}, id="empty object"),
        pytest.param(RequestDetails(parameters={}), {"parameters": {}}, id="empty mapping"),
        pytest.param(
            RequestDetails(parameters={"a": None}), {"parameters": {"a": None}}, id="null in a mapping"
        ),
        pytest.param(
            Option(content=[None, {"a": None}]), {"content": [None, {"a": None}]}, id="null in free JSON"
        ),
        pytest.param(Context(beacon=True), {"beacon": True}, id="beacon"),
        pytest.param(Context(beacon=False), {}, id="no beacon, as the API has it for unset"),
        pytest.param(Context(beacon=None), {}, id="beacon None"),
        pytest.param(Context(beacon=None, geo=Geo()), {"geo": {}}, id="beacon None beside a part"),
        pytest.param(Context(channel=ChannelType.WEB), {"channel": "web"}, id="enum member"),
        pytest.param(
            RequestDetails(parameters={ChannelType.WEB: "null"}),
            {"parameters": {"web": "null"}},
            id="enum key",
        ),
        pytest.param(
            RequestDetails(order={"id": "null"}), {"order": {"id": "null"}}, id="a dict goes as it is"
        ),
        pytest.param(RequestDetails(parameters={"a": 2**70}), {"parameters": {"a": 2**70}}, id="huge number"),
        pytest.param(Option(content={"a": (None, 2**70)}), {"content": {"a": [None, 2**70]}}, id="tuple"),
        pytest.param(Option(content=[None, Colour.RED]), {"content": [None, 1]}, id="member of another enum"),
        pytest.param(Option(content={1: None}), {"content": {"1": None}}, id="number as key"),
    ],
)
def test_to_json_writes(model, wire):
    assert json.loads(model.to_json()) == wire


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime.datetime(2024, 2, 29, 1, 2, 3), "2024-02-29T01:02:03"),  # noqa: DTZ001  a naive time is allowed
        (datetime.datetime(2024, 2, 29, 1, 2, 3, 456000, tzinfo=UTC), "2024-02-29T01:02:03.456000Z"),
        (
            datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            "2024-02-29T00:00:00+02:00",
        ),
    ],
    ids=["naive", "UTC", "offset"],
)
def test_times_are_iso_8601(time, text):
    assert json.loads(Order(time=time).to_json()) == {"time": text}


@each_case(
    "model, path",
    [
        pytest.param(Geo(latitude=math.nan), "geo.latitude", id="NaN"),
        pytest.param(Context(geo=Geo(longitude=-math.inf)), "context.geo.longitude", id="infinity"),
        pytest.param(Option(content={"a": [1, math.nan]}), "option.content['a'][1]", id="NaN in free JSON"),
        pytest.param(Option(content={"a": [Stranger()]}), "option.content['a'][0]", id="foreign object"),
        pytest.param(Option(content={("a",): None}), "option.content[<tuple>]", id="foreign key"),
        pytest.param(QAMode(token=Stranger()), "qa_mode.token", id="foreign object in a field"),
    ],
)
def test_to_json_rejects_values_other_than_json(model, path):
    with pytest.raises(ConstraintError) as caught:
        model.to_json()
    assert caught.value.path == path


def _cycle():
    content = []
    content.append(content)
    return content


def _deep():
    content = []
    for _ in range(10_000):
        content = [content]
    return content


@pytest.mark.parametrize("content", [_cycle(), _deep()], ids=["cycle", "10,000 levels"])
def test_to_json_rejects_endless_values(content):
    with pytest.raises(ConstraintError, match="nested too deeply"):
        Option(content=content).to_json()


def test_lone_surrogate_is_escaped_and_read_again():
    option = Option(content="\ud83d!")
    assert option.to_json() == '{"content":"\\ud83d!"}'
    assert Option.from_json(option.to_json()) == option


@pytest.mark.parametrize(
    "as_text", [str, str.encode, lambda text: bytearray(text.encode())], ids=["str", "bytes", "bytearray"]
)
def test_from_json_reads_text_and_bytes(as_text):
    assert Address.from_json(as_text('{"referringUrl":"ü"}')) == Address(referring_url="ü")


def test_from_json_ignores_unknown_keys():
    assert View.from_json('{"id":1,"name":"home"}') == View(name="home")


def test_from_json_and_from_dict_check_no_limits():
    wire = {"context": {"channel": "tv", "address": {"url": "u" * 5000}}, "id": {"tntId": "t" * 129}}
    request = DeliveryRequest.from_dict(wire)
    assert request.context.channel == "tv"
    assert DeliveryRequest.from_json(json.dumps(wire)) == request


MALFORMED = [
    pytest.param("", "execute_request: is not JSON", id="empty"),
    pytest.param("{", "execute_request: is not JSON", id="cut short"),
    pytest.param("{} {}", "execute_request: is not JSON", id="too much"),
    pytest.param(b"\xff", "execute_request: is not UTF-8", id="not UTF-8"),
    pytest.param("[" * 100_000, "execute_request: is nested too deeply", id="100,000 levels"),
    pytest.param('{"a":NaN}', "execute_request: holds a number", id="NaN"),
    pytest.param('{"mboxes":1e999}', "execute_request: holds a number", id="out of range"),
    pytest.param("1" * 5000, "execute_request: holds a number", id="5000 digits"),
    pytest.param("null", "execute_request: must be ExecuteRequest, not null", id="null"),
    pytest.param("[]", "execute_request: must be ExecuteRequest, not list", id="list"),
    pytest.param('{"mboxes":{}}', "execute_request.mboxes: must be a list, not dict", id="field"),
    pytest.param('{"mboxes":[{},null]}', r"execute_request.mboxes\[1\]: must not be null", id="element"),
    pytest.param(
        '{"mboxes":[{"name":5}]}',
        r"execute_request.mboxes\[0\].name: must be a string, not int",
        id="in an element",
    ),
    pytest.param(5, "execute_request: must be JSON text, not int", id="no text"),
    pytest.param(None, "execute_request: must be JSON text, not null", id="None"),
]


@each_case("text, message", MALFORMED)
def test_from_json_raises_with_the_path(text, message):
    with pytest.raises(ConstraintError, match=f"^{message}"):
        ExecuteRequest.from_json(text)


@each_case(
    "mapping, message",
    [
        ([], "order: must be Order, not list"),
        (Order(), "order: must be a mapping, not Order"),
        ({"total": "1"}, "order.total: must be a number, not str"),
        ({"total": math.nan}, "order.total: must be a finite number"),
        ({"total": 10**400}, "order.total: must be a finite number"),
        ({"time": "today"}, "order.time: must be a time in ISO 8601 form, not 'today'"),
        ({"time": 5}, "order.time: must be a datetime, not int"),
        ({"duplicate": 1}, "order.duplicate: must be a boolean, not int"),
        ({"experienceLocalId": True}, "order.experience_local_id: must be an integer, not bool"),
        ({"purchasedProductIds": "abc"}, "order.purchased_product_ids: must be a list, not str"),
        (
            {"purchasedProductIds": ["a", True]},
            r"order.purchased_product_ids\[1\]: must be a string, an integer or a UUID, not bool",
        ),
    ],
)
def test_from_dict_raises_with_the_path(mapping, message):
    with pytest.raises(ConstraintError, match=f"^{message}$"):
        Order.from_dict(mapping)


@pytest.mark.parametrize("wrap", [dict, MappingProxyType], ids=["dict", "mapping"])
def test_from_dict_reads_any_mapping(wrap):
    assert Context.from_dict(wrap({"geo": wrap({"ipAddress": "::1"}), "other": 1})) == Context(
        geo=Geo(ip_address="::1")
    )


def test_error_of_a_mapping_that_raises_is_ours():
    with pytest.raises(ConstraintError, match=r"^context: cannot be read: RuntimeError$"):
        Context.from_dict(Hostile())


def test_unknown_attribute_is_an_error():
    with pytest.raises(TypeError):
        Address(uri="u")
    with pytest.raises(AttributeError):
        Address().uri = "u"


def test_construction_and_assignment_check_nothing():
    address = Address(url="u" * 5000)
    address.url = 5
    assert address.url == 5


def test_models_are_equal_when_class_and_values_are():
    assert Geo(city="Bern") == Geo(city="Bern")
    assert Geo(city="Bern") != Geo(city="Basel")
    assert RequestDetails() != MboxRequest()
    assert Context(channel=ChannelType.WEB) == Context(channel="web")


def test_models_have_no_hash():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Geo())


def test_model_with_a_deleted_attribute_still_prints():
    geo = Geo(city="Bern")
    del geo.city
    assert geo.to_dict()["city"] is None
    assert json.loads(geo.to_json()) == {}


def test_model_of_the_users_own_keeps_its_fields():
    class Shop(Model):
        opening_hours: str | None = None

    assert Shop.from_json('{"openingHours":"9-17"}').to_json() == '{"openingHours":"9-17"}'
    assert Shop.attribute_map == {"opening_hours": "openingHours"}


@EVERY_MODEL
@settings(max_examples=examples(20))
@given(data=st.data())
def test_json_round_trip_is_the_identity(model, data):
    value = data.draw(instances(model))
    assert model.from_json(value.to_json()) == value
    assert model.from_dict(json.loads(value.to_json())) == value


@given(value=any_model())
def test_careful_and_fast_encoding_are_equal(value):
    careful, quick = _write_carefully(value), msgspec.json.encode(value)
    assert type(value).from_json(careful) == type(value).from_json(quick)


@given(value=any_model())
def test_careful_and_fast_decoding_are_equal(value):
    wire = json.loads(value.to_json())
    assert read(wire, type(value), "model", ReadMode()) == msgspec.convert(wire, type(value)) == value


@given(value=any_model())
def test_pickle_and_copies_are_equal(value):
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value


@settings(max_examples=examples(50))
@given(value=instances(DeliveryResponse))
def test_to_dict_has_no_models_left(value):
    assert _classes_in(value.to_dict()).isdisjoint(MODELS)


def _classes_in(value):
    if isinstance(value, dict):
        return set().union(*map(_classes_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(_classes_in, value))
    return {type(value)}
