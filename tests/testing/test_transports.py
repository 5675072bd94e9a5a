from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from support.cases import each_case
from targetry.errors import ClosedError, TransportError
from targetry.http import AsyncHttpTransport, HttpTransport
from targetry.http.protocol import AsyncTransport, Transport
from targetry.testing import Asked, AsyncFakeTransport, FakeTransport, HttpRequest, HttpResponse, answer

_REQUEST = HttpRequest("GET", "https://acme.example/rules.json", {})

Fake = FakeTransport | AsyncFakeTransport
both = pytest.mark.parametrize("kind", [FakeTransport, AsyncFakeTransport])


def send(fake: Fake, request: HttpRequest = _REQUEST, max_bytes: int | None = None) -> HttpResponse:
    if isinstance(fake, FakeTransport):
        return fake.send(request, timeout=3, max_bytes=max_bytes)
    return asyncio.run(fake.send(request, timeout=3, max_bytes=max_bytes))


def close(fake: Fake) -> None:
    if isinstance(fake, FakeTransport):
        fake.close()
    else:
        asyncio.run(fake.aclose())


@each_case(
    "body, sent, headers",
    [
        (b"raw", b"raw", {}),
        ("text", b"text", {}),
        ({"status": 200}, b'{"status":200}', {"content-type": "application/json"}),
        (None, b"null", {"content-type": "application/json"}),
    ],
)
def test_response_is_made_of_bytes_text_or_json_values(
    body: Any, sent: bytes, headers: dict[str, str]
) -> None:
    assert answer(body) == HttpResponse(200, "OK", headers, sent)


def test_response_has_status_reason_and_lower_case_headers() -> None:
    assert answer(status=304, headers={"ETag": "x"}) == HttpResponse(304, "Not Modified", {"etag": "x"}, b"")


@both
def test_script_is_used_in_order_and_its_exceptions_are_raised(kind: type[Fake]) -> None:
    fake = kind(answer(b"1"), TransportError(reason="refused"), answer(b"2"))
    assert send(fake).body == b"1"
    with pytest.raises(TransportError, match="refused"):
        send(fake)
    assert fake.unused == 1
    assert send(fake).body == b"2"
    assert fake.unused == 0


@both
def test_request_without_a_response_is_an_assertion_error_that_names_it(kind: type[Fake]) -> None:
    with pytest.raises(AssertionError, match=r"GET https://acme\.example/rules\.json"):
        send(kind())


@both
def test_requests_are_recorded_in_order(kind: type[Fake]) -> None:
    fake = kind(answer(), answer())
    other = HttpRequest("POST", "https://acme.example/", {}, b"{}")
    send(fake)
    send(fake, other, max_bytes=5)
    assert fake.asked == [Asked(_REQUEST, 3, None), Asked(other, 3, 5)]
    assert fake.requests == [_REQUEST, other]


@both
def test_function_can_return_a_response_or_an_exception(kind: type[Fake]) -> None:
    fake = kind(by=lambda request: answer(b"ok") if request.method == "GET" else TransportError(reason="no"))
    assert send(fake).body == b"ok"
    with pytest.raises(TransportError):
        send(fake, HttpRequest("POST", "https://acme.example", {}))


def test_async_fake_accepts_an_async_function() -> None:
    async def by(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return answer(request.url)

    assert send(AsyncFakeTransport(by=by)).body == _REQUEST.url.encode()


@both
def test_function_that_returns_no_response_is_an_assertion_error(kind: type[Fake]) -> None:
    with pytest.raises(AssertionError, match="no HttpResponse"):
        send(kind(by=lambda request: "nonsense"))  # type: ignore[arg-type,return-value]


@both
def test_script_and_function_together_raise(kind: type[Fake]) -> None:
    with pytest.raises(TypeError):
        kind(answer(), by=lambda request: answer())


@both
def test_closed_fake_raises_and_can_be_closed_again(kind: type[Fake]) -> None:
    fake = kind(answer())
    close(fake)
    close(fake)
    assert fake.closed
    with pytest.raises(ClosedError):
        send(fake)


@each_case("kind", [FakeTransport, HttpTransport])
@each_case("method", ["send", "close"])
def test_blocking_transports_match_the_protocol(kind: type, method: str) -> None:
    assert inspect.signature(getattr(kind, method)) == inspect.signature(getattr(Transport, method))


@each_case("kind", [AsyncFakeTransport, AsyncHttpTransport])
@each_case("method", ["send", "aclose"])
def test_async_transports_match_the_protocol(kind: type, method: str) -> None:
    assert inspect.signature(getattr(kind, method)) == inspect.signature(getattr(AsyncTransport, method))


def test_default_transports_take_the_same_options() -> None:
    blocking = inspect.signature(HttpTransport).parameters
    asynchronous = dict(inspect.signature(AsyncHttpTransport).parameters)
    del asynchronous["decoders"]  # threads that decode large bodies: the client's, not an option
    assert dict(blocking) == asynchronous
