"""Meaning of responses for notifications."""

from __future__ import annotations

import msgspec
import pytest

from support.background_fakes import answer
from support.cases import each_case
from support.notifier import delivery, ids_in
from targetry.notifications.response import (
    ResponseMeaning,
    classify_response,
    filter_notifications,
    notification_ids,
    unprocessed_ids,
)

SENT, RETRY, REJECTED, DENIED = (
    ResponseMeaning.SENT,
    ResponseMeaning.RETRY,
    ResponseMeaning.REJECTED,
    ResponseMeaning.DENIED,
)
REQUEST = delivery("a", "b", "c").request.to_json().encode()


@each_case(
    "status, meaning",
    [
        *[(status, SENT) for status in (200, 202, 204, 206)],
        *[(status, RETRY) for status in (408, 429, 500, 502, 503, 504)],
        *[(status, DENIED) for status in (401, 403, 404)],
        *[(status, REJECTED) for status in (301, 304, 400, 405, 409, 410, 413, 415, 422, 501, 505)],
    ],
)
def test_status_has_one_meaning(status: int, meaning: ResponseMeaning) -> None:
    assert classify_response(answer(status)) is meaning


@each_case("body", [b"<html>Sign in</html>", b"{", b"[1]", b'"ok"', b"\xff"])
def test_success_that_is_not_from_the_api_is_retried(body: bytes) -> None:
    assert classify_response(answer(200, body)) is RETRY


@pytest.mark.parametrize("body", [b"", b"{}", b'{"status":200,"notifications":[{"id":"a","x":1}]}'])
def test_success_of_the_api_is_sent(body: bytes) -> None:
    assert classify_response(answer(200, body)) is SENT


@each_case(
    "said, missing",
    [
        (b"", []),
        (b"{}", []),
        (b'{"notifications":null}', []),
        (b'{"notifications":[{"id":"c"},{"id":"a"},{"id":"b"}]}', []),
        (b'{"notifications":[{"id":"b"},{"id":"other"},{}]}', ["a", "c"]),
        (b'{"notifications":[]}', ["a", "b", "c"]),
    ],
    ids=["empty", "no list", "null", "all", "some", "none"],
)
def test_ids_that_a_response_omits_are_unprocessed(said: bytes, missing: list[str]) -> None:
    assert unprocessed_ids(REQUEST, answer(200, said)) == missing


def test_request_is_reduced_to_some_of_its_notifications() -> None:
    before, after = (
        msgspec.json.decode(REQUEST),
        msgspec.json.decode(filter_notifications(REQUEST, ["c", "a"])),
    )
    assert [one["id"] for one in after["notifications"]] == ["a", "c"]
    assert after["notifications"][0] == before["notifications"][0]
    assert {**after, "notifications": None} == {**before, "notifications": None}


def test_unreadable_body_has_no_ids() -> None:
    assert notification_ids(b"not JSON") == []
    assert notification_ids(REQUEST) == ids_in(REQUEST) == ["a", "b", "c"]
