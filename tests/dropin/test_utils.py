"""`target_tools.utils`: the functions that programs call."""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from delivery_api_client import (
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    ModelProperty,
    Option,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
)
from support.cases import each_case
from target_tools.utils import (
    EPOCH_START,
    add_mboxes_to_request,
    compose_functions,
    create_uuid,
    decisioning_engine_ready,
    flatten_list,
    get_epoch_time,
    get_epoch_time_milliseconds,
    get_mbox_names,
    get_names_for_requested,
    get_property,
    get_property_token,
    get_timezone_offset,
    get_value_from_object,
    get_view_names,
    has_requested,
    has_requested_views,
    is_dict,
    is_empty,
    is_int,
    is_list,
    is_string,
    memoize,
    noop,
    parse_float,
    parse_int,
    remove_empty_values,
    requires_decisioning_engine,
    to_dict,
)
from targetry import DecisioningMethod, OptionError


def asked(part: ExecuteRequest | PrefetchRequest | None) -> list[tuple[int | None, str | None]]:
    assert part is not None
    return [(mbox.index, mbox.name) for mbox in part.mboxes or ()]


def test_mboxes_are_added_to_the_request_itself() -> None:
    request = DeliveryRequest()
    assert add_mboxes_to_request(["a", "b"], request) is request
    assert asked(request.execute) == [(1, "a"), (2, "b")]


def test_indexes_continue_and_names_are_requested_once() -> None:
    request = DeliveryRequest(
        execute=ExecuteRequest(mboxes=[MboxRequest(name="a", index=7)]),
        prefetch=PrefetchRequest(mboxes=[MboxRequest(name="b", index=1)]),
    )
    add_mboxes_to_request(["a", "b", "c"], request)
    assert asked(request.execute) == [(7, "a"), (8, "c")]
    assert asked(request.prefetch) == [(1, "b")]


def test_mboxes_can_be_added_to_what_is_prefetched() -> None:
    views, page_load = [ViewRequest(name="home")], RequestDetails()
    request = DeliveryRequest(
        execute=ExecuteRequest(mboxes=[MboxRequest(name="a", index=1)]),
        prefetch=PrefetchRequest(views, page_load, [MboxRequest(name="b", index=3)]),
    )
    assert add_mboxes_to_request(["a", "b", "c"], request, "prefetch") is request
    assert asked(request.prefetch) == [(3, "b"), (4, "c")]
    assert request.prefetch == PrefetchRequest(views, page_load, request.prefetch.mboxes)
    assert asked(request.execute) == [(1, "a")]


@pytest.mark.parametrize("part", ["execute", "prefetch"])
def test_request_without_additions_is_unchanged(part: str) -> None:
    request = DeliveryRequest()
    assert add_mboxes_to_request([], request, part) == DeliveryRequest()


def test_part_without_mboxes_raises() -> None:
    with pytest.raises(OptionError, match="request_type: must be one of execute, prefetch"):
        add_mboxes_to_request(["a"], DeliveryRequest(), "notifications")


def test_to_dict_has_the_names_of_the_wire_and_nulls() -> None:
    request = DeliveryRequest(
        _property=ModelProperty(token="t"),
        context=Context(channel=ChannelType.WEB),
        execute=ExecuteRequest(mboxes=[MboxRequest(name="a", parameters={"k": "v"})]),
    )
    written = to_dict(request)
    assert written["property"] == {"token": "t"}
    assert written["context"]["channel"] == "web"
    assert type(written["context"]["channel"]) is str
    assert written["context"]["timeOffsetInMinutes"] is None
    assert written["execute"]["pageLoad"] is None
    assert written["execute"]["mboxes"][0]["profileParameters"] is None
    assert written["execute"]["mboxes"][0]["parameters"] == {"k": "v"}


def test_to_dict_finds_models_in_lists_and_dicts_and_leaves_the_rest() -> None:
    option = {"type": "json", "content": 1, "eventToken": None, "responseTokens": None}
    given = {"a": [Option(type="json", content=1)], "b": 2, "c": (Option(type="json", content=1),)}
    assert to_dict(given) == {"a": [option], "b": 2, "c": [option]}
    assert to_dict(None) is None


def test_current_time_is_in_seconds_and_milliseconds() -> None:
    before = time.time()
    seconds, milliseconds = get_epoch_time(), get_epoch_time_milliseconds()
    after = time.time()
    assert int(before) <= seconds <= after
    assert int(before * 1000) <= milliseconds <= after * 1000
    assert (type(seconds), type(milliseconds)) == (int, int)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2001, 9, 9, 1, 46, 40, 123_000),  # noqa: DTZ001  the official package works with such
        datetime(2001, 9, 9, 1, 46, 40, 123_000, UTC),
        datetime(2001, 9, 9, 3, 46, 40, 123_000, timezone(timedelta(hours=2))),
    ],
    ids=["without zone", "UTC", "another zone"],
)
def test_time_is_converted_to_epoch_values(moment: datetime) -> None:
    assert get_epoch_time(moment) == 1_000_000_000
    assert get_epoch_time_milliseconds(moment) == 1_000_000_000_123


def test_uuid_is_one_with_dashes() -> None:
    made = {create_uuid() for _ in range(100)}
    assert len(made) == 100
    assert all(str(uuid.UUID(each, version=4)) == each for each in made)


@each_case(
    "check, accepted, refused",
    [
        (is_string, ["", "a", DecisioningMethod.HYBRID], [b"a", 1, None]),
        (is_dict, [{}, OrderedDict()], [[], None, "a"]),
        (is_list, [[], [1]], [(), {}, None, "a"]),
        (is_int, [1, 1.5, "1", " 2 ", True], ["a", "1.5", None, [], math.inf, math.nan]),
        (is_empty, [None, "", 0, [], {}], [1, "a", [0]]),
    ],
    ids=["is_string", "is_dict", "is_list", "is_int", "is_empty"],
)
def test_type_check_accepts_the_same_values_as_the_official_one(
    check: Callable[[Any], bool], accepted: list[Any], refused: list[Any]
) -> None:
    assert [value for value in accepted if check(value) is not True] == []
    assert [value for value in refused if check(value) is not False] == []


@each_case(
    "parse, given, expected",
    [
        (parse_int, "12", 12),
        (parse_int, 1.9, 1),
        (parse_int, "1.9", None),
        (parse_int, None, None),
        (parse_float, "1.9", 1.9),
        (parse_float, "a", None),
        (parse_float, None, None),
    ],
)
def test_number_is_parsed_or_none(parse: Callable[[Any], Any], given: Any, expected: Any) -> None:
    assert parse(given) == expected


def test_names_of_mboxes_and_views_come_from_both_parts() -> None:
    request = DeliveryRequest(
        execute=ExecuteRequest(mboxes=[MboxRequest(name="a"), MboxRequest()]),
        prefetch=PrefetchRequest(mboxes=[MboxRequest(name="b")], views=[ViewRequest(name="home")]),
    )
    assert get_mbox_names(request) == {"a", "b"}
    assert get_view_names(request) == get_names_for_requested("views", request) == {"home"}
    assert get_mbox_names(DeliveryRequest()) == set()


def test_request_with_views_has_requested_views() -> None:
    request = DeliveryRequest(prefetch=PrefetchRequest(views=[ViewRequest()]))
    assert has_requested_views(request) is True
    assert has_requested("mboxes", request) is False
    assert has_requested_views(DeliveryRequest()) is has_requested_views(None) is False


@each_case(
    "config, own, expected",
    [
        ({"property_token": "c"}, None, "c"),
        ({"property_token": "c"}, "r", "r"),
        ({}, "r", "r"),
        (None, None, None),
    ],
    ids=["config", "both", "request", "neither"],
)
def test_property_of_a_request_takes_precedence_over_the_config(
    config: dict[str, Any] | None, own: str | None, expected: str | None
) -> None:
    request = DeliveryRequest(_property=ModelProperty(token=own) if own else None)
    assert get_property_token(get_property(config, request)) == expected


def test_another_property_than_the_configs_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "adobe.target"):
        get_property({"property_token": "c"}, DeliveryRequest(_property=ModelProperty(token="r")))
    assert "'r' does not match the one specified in the config 'c'" in caplog.text


@each_case("method, required", [("on-device", True), ("hybrid", True), ("server-side", False), (None, False)])
def test_deciding_on_device_requires_an_engine(method: str | None, required: bool) -> None:
    assert requires_decisioning_engine(method) is required


def test_engine_without_artifact_is_not_ready() -> None:
    class Engine:
        def __init__(self, ready: bool) -> None:
            self.is_ready = lambda: ready

    ready = Engine(True)
    assert decisioning_engine_ready(ready) is ready
    assert decisioning_engine_ready(Engine(False)) is None
    assert decisioning_engine_ready(None) is None


def test_function_helpers_compose_remember_and_ignore() -> None:
    calls: list[int] = []

    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    remembered = memoize(double)
    assert (remembered(1), remembered(1), calls) == (2, 2, [1])
    by_parity = memoize(double, lambda args, kwargs: args[0] % 2)
    assert (by_parity(3), by_parity(5), calls) == (6, 6, [1, 3])
    assert compose_functions(str, double)(4) == "8"
    assert noop(1, a=2) is None  # type: ignore[func-returns-value]


def test_values_are_read_from_dicts_objects_and_lists() -> None:
    assert get_value_from_object({"a": 1}, "a") == 1
    assert get_value_from_object(MboxRequest(name="a"), "name") == "a"
    assert get_value_from_object({}, "a") is get_value_from_object(None, "a") is None
    assert remove_empty_values({"a": None, "b": 0}) == {"b": 0}
    assert flatten_list([[1], [2, 3]]) == [1, 2, 3]
    assert flatten_list(None) == []


def test_timezone_offset_is_that_of_the_local_time_in_minutes() -> None:
    offset = datetime.now().astimezone().utcoffset()
    assert offset is not None
    assert get_timezone_offset() == offset.total_seconds() // 60
    assert EPOCH_START.isoformat() == "1970-01-01T00:00:00"


def test_to_dict_reads_other_iterables_and_other_objects() -> None:
    class Plain:
        def __init__(self) -> None:
            self.mbox = MboxRequest(name="a")

    assert to_dict({1}) == [1]
    assert to_dict(Plain())["mbox"]["name"] == "a"
