"""`target_tools.utils`: the functions that programs call."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta, timezone

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
from target_tools.utils import (
    add_mboxes_to_request,
    create_uuid,
    get_epoch_time,
    get_epoch_time_milliseconds,
    to_dict,
)
from targetry import OptionError


def asked(part: ExecuteRequest | PrefetchRequest | None) -> list[tuple[int | None, str | None]]:
    assert part is not None
    return [(mbox.index, mbox.name) for mbox in part.mboxes or ()]


def test_mboxes_are_added_to_the_request_itself() -> None:
    request = DeliveryRequest()
    assert add_mboxes_to_request(["a", "b"], request) is request
    assert asked(request.execute) == [(1, "a"), (2, "b")]


def test_indexes_go_on_and_nothing_is_asked_for_twice() -> None:
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
def test_without_anything_to_add_the_request_stays_as_it_is(part: str) -> None:
    request = DeliveryRequest()
    assert add_mboxes_to_request([], request, part) == DeliveryRequest()


def test_a_part_that_cannot_hold_mboxes_is_refused() -> None:
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


def test_now_is_told_in_seconds_and_milliseconds() -> None:
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
def test_a_time_is_told_since_1970(moment: datetime) -> None:
    assert get_epoch_time(moment) == 1_000_000_000
    assert get_epoch_time_milliseconds(moment) == 1_000_000_000_123


def test_a_uuid_is_one_with_dashes() -> None:
    made = {create_uuid() for _ in range(100)}
    assert len(made) == 100
    assert all(str(uuid.UUID(each, version=4)) == each for each in made)
