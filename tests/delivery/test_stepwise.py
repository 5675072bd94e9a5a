"""Decoding in steps gives what decoding the whole gives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.delivery.stepwise import decode_in_steps
from targetry.models import ConstraintError, DeliveryResponse

_PADDING = "x" * 40_000

free = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.just(_PADDING),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
option = st.fixed_dictionaries({}, optional={"type": st.sampled_from(["html", "json"]), "content": free})
mbox = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", _PADDING])},
    optional={"index": st.integers(0, 9), "options": st.lists(option, max_size=3), "unknown": free},
)
response = st.fixed_dictionaries(
    {"status": st.just(200)},
    optional={
        "execute": st.fixed_dictionaries(
            {}, optional={"mboxes": st.lists(mbox, max_size=4), "pageLoad": st.just({})}
        ),
        "prefetch": st.fixed_dictionaries(
            {}, optional={"views": st.lists(st.just({"name": _PADDING}), max_size=2)}
        ),
        "unknown": free,
        "id": st.just({"tntId": _PADDING}),
    },
)


@settings(deadline=None, max_examples=examples(150))
@given(response)
def test_result_equals_decoding_at_once(value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    assert decode_in_steps(body, DeliveryResponse, int) == DeliveryResponse.from_json(body)


@each_case(
    "body",
    [
        {"status": "no number", "client": _PADDING},
        {"execute": [_PADDING]},
        {"execute": {"mboxes": _PADDING}},
        {"execute": {"mboxes": [{"name": _PADDING, "index": "x"}]}},
        {"execute": {"mboxes": [None, {"name": _PADDING}]}},
        [_PADDING],
        _PADDING,
    ],
    ids=str,
)
def test_broken_constraint_raises_as_decoding_at_once_does(body: Any) -> None:
    text = json.dumps(body).encode()
    for decode in (DeliveryResponse.from_json, lambda body: decode_in_steps(body, DeliveryResponse, int)):
        with pytest.raises(ConstraintError):
            decode(text)


@each_case(
    "text",
    [
        b'{"execute": {"mboxes": [{"name": "' + b"x" * 50_000,
        b'{"client": "' + b"x" * 50_000 + b'"} more',
        b'{"client": "\xff' + b"x" * 50_000 + b'"}',
        b'{"client": ' + b"[" * 50_000,
    ],
    ids=["cut", "more-behind", "not-utf-8", "too-deep"],
)
def test_text_that_is_not_json_raises(text: bytes) -> None:
    with pytest.raises(ConstraintError):
        decode_in_steps(text, DeliveryResponse, int)


def test_check_is_called_often_and_ends_decoding_by_raising() -> None:
    mboxes = [{"index": index, "name": "x" * 100} for index in range(10_000)]
    body = json.dumps({"status": 200, "execute": {"mboxes": mboxes}}).encode()
    steps: list[None] = []
    decode_in_steps(body, DeliveryResponse, lambda: steps.append(None))
    assert len(steps) > 100

    def stop() -> None:
        if len(steps) > 300:
            raise TimeoutError
        steps.append(None)

    steps.clear()
    with pytest.raises(TimeoutError):
        decode_in_steps(body, DeliveryResponse, stop)
