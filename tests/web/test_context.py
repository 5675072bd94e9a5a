"""Context of a request: headers, client hints, URLs, and whatever else a browser sends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from support.web import FakeRequest
from targetry.models import DeliveryRequest
from targetry.models.snapshot import checked_context, snapshot
from targetry.web.context import HIGH_ENTROPY_HINTS, request_context
from targetry.web.request import merged_vary

HINTS = {
    "sec-ch-ua": '"Chromium";v="143", "Not A(Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Windows"',
    "sec-ch-ua-full-version-list": '"Chromium";v="143.0.7499.40"',
    "sec-ch-ua-platform-version": '"19.0.0"',
    "sec-ch-ua-model": '"Pixel \\"9\\""',
    "sec-ch-ua-arch": '"x86"',
    "sec-ch-ua-bitness": '"64"',
}


def test_headers_become_the_context() -> None:
    request = FakeRequest(
        {"user-agent": "Firefox", "referer": "https://a.example/", "accept-language": "de, en;q=0.5"}
    )
    context = request_context(request)
    assert (
        context.to_json()
        == msgspec.json.encode(
            {
                "channel": "web",
                "browser": {"language": "de, en;q=0.5"},
                "address": {
                    "url": "https://www.shop.example.co.uk/sale?page=2",
                    "referringUrl": "https://a.example/",
                },
                "userAgent": "Firefox",
            }
        ).decode()
    )


def test_client_hints_are_unquoted() -> None:
    hints = request_context(FakeRequest(HINTS)).client_hints
    assert hints is not None
    assert hints.to_dict() == {
        "mobile": False,
        "model": 'Pixel "9"',
        "platform": "Windows",
        "platform_version": "19.0.0",
        "browser_ua_with_major_version": HINTS["sec-ch-ua"],
        "browser_ua_with_full_version": HINTS["sec-ch-ua-full-version-list"],
        "architecture": "x86",
        "bitness": "64",
    }


def test_all_read_hints_are_requested_of_the_browser() -> None:
    sent_anyway = {"sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform"}
    assert {name.lower() for name in HIGH_ENTROPY_HINTS.split(", ")} == set(HINTS) - sent_anyway


@pytest.mark.parametrize(
    "hints", [{}, {"sec-ch-ua-mobile": "yes"}, {"sec-ch-ua-platform": '""', "sec-ch-ua": ""}]
)
def test_no_usable_hint_gives_no_client_hints(hints: dict[str, Any]) -> None:
    assert request_context(FakeRequest(hints)).client_hints is None


@each_case(
    "url, expected",
    [
        ("https://a.example/" + "p" * 10 + "?" + "q" * 100_000, "https://a.example/pppppppppp"),
        ("https://a.example/" + "p" * 100_000, ("https://a.example/" + "p" * 100_000)[:4096]),
        ("https://a.example/ü\udcff", "https://a.example/ü?"),
        ("", None),
    ],
    ids=["query of 100 KB", "path of 100 KB", "surrogate", "empty"],
)
def test_url_is_cut_to_the_limit_of_the_api(url: str, expected: str | None) -> None:
    context = request_context(FakeRequest({"referer": url}, url=url))
    assert context.address is not None
    assert (context.address.url, context.address.referring_url) == (expected, expected)


@given(
    st.dictionaries(st.sampled_from([*HINTS, "user-agent", "referer", "accept-language"]), st.text()),
    st.text(),
)
def test_any_headers_give_a_context_that_a_request_can_carry(headers: dict[str, str], url: str) -> None:
    context = request_context(FakeRequest(dict(headers), url=url))
    snapshot(DeliveryRequest(context=context), wire=True)
    assert checked_context(context) == context  # so that it is not checked in each request
    context.to_json().encode()


@each_case(
    "values, expected",
    [
        ([], "Cookie"),
        (["Accept-Encoding"], "Accept-Encoding, Cookie"),
        (["Accept", "Origin,Host"], "Accept, Origin, Host, Cookie"),
        (["accept, cookie"], None),
        (["*"], None),
        ([""], "Cookie"),
    ],
)
def test_vary_names_the_header_once(values: list[str], expected: str | None) -> None:
    assert merged_vary(values, "Cookie") == expected
