"""Requests, responses, and the parts of them that logs and messages show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.http.protocol import HttpRequest, HttpResponse, hide_secrets, shown_url


@each_case(
    "url, shown",
    [
        (
            "https://acme.tt.omtrdc.net/rest/v1/delivery?sessionId=1",
            "https://acme.tt.omtrdc.net/rest/v1/delivery",
        ),
        ("https://me:secret@cdn.example:8443/a/b?token=1#x", "https://cdn.example:8443/a/b"),
        ("https://me:se@cret@cdn.example", "https://cdn.example"),
        ("https://cdn.example#me@other", "https://cdn.example"),
        ("no url?token=1", "no url"),
        ("", ""),
    ],
)
def test_shown_url_lacks_query_fragment_user_and_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@given(st.text(alphabet="abc:/@?#", max_size=30))
def test_shown_url_never_has_a_query(text: str) -> None:
    assert "?" not in shown_url(text)


@each_case(
    "message",
    [
        "GET https://me:p%40ss@cdn.example/rules.json?sig=t0ken%2B1&v=2#part failed",
        "Max retries exceeded with url: /rules.json?sig=t0ken%2B1&v=2",
        "password 'p@ss' refused",
        "signature t0ken+1 has expired",
        "no fragment part",
    ],
)
def test_secrets_of_url_are_hidden_in_message(message: str) -> None:
    hidden = hide_secrets(message, "https://me:p%40ss@cdn.example/rules.json?sig=t0ken%2B1&v=2#part")
    for secret in ("p%40ss", "p@ss", "t0ken", "part"):
        assert secret not in hidden


@each_case("url", ["https://cdn.example/rules.json", "https://u@cdn.example/?a=&b=1", "/srv/rules.json", ""])
def test_message_without_secrets_stays_as_it_is(url: str) -> None:
    assert hide_secrets("connection refused by cdn.example", url) == "connection refused by cdn.example"


def test_rich_shows_request_without_query_headers_and_body() -> None:
    request = HttpRequest(
        "GET", "https://me:hush@h.example/a?token=s3cret", {"authorization": "s3cret"}, b"s3cret"
    )
    assert request.__rich_repr__() == [("method", "GET"), ("url", "https://h.example/a")]


def test_request_repr_hides_query_headers_and_body() -> None:
    request = HttpRequest("POST", "https://a.example/b?token=secret", {"authorization": "secret"}, b"secret")
    assert repr(request) == "HttpRequest(POST https://a.example/b, 6 bytes)"


def test_response_repr_hides_headers_and_body() -> None:
    response = HttpResponse(200, "OK", {"set-cookie": "secret"}, b"secret")
    assert repr(response) == "HttpResponse(200 OK, 6 bytes)"


def test_requests_and_responses_are_frozen() -> None:
    with pytest.raises(AttributeError):
        HttpRequest("GET", "https://a.example", {}).url = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        HttpResponse(200, "OK", {}, b"").status = 1  # type: ignore[misc]
