from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("body", "sent", "headers"),
    [
        (b"raw", b"raw", {}),
        ("text", b"text", {}),
        ({"status": 200}, b'{"status":200}', {"content-type": "application/json"}),
        (None, b"null", {"content-type": "application/json"}),
    ],
)
def test_an_answer_is_made_of_bytes_text_or_what_becomes_json(
    body: Any, sent: bytes, headers: dict[str, str]
) -> None:
    assert answer(body) == HttpResponse(200, "OK", headers, sent)


def test_an_answer_has_the_status_its_reason_and_lower_case_headers() -> None:
    assert answer(status=304, headers={"ETag": "x"}) == HttpResponse(304, "Not Modified", {"etag": "x"}, b"")


@both
def test_a_script_is_used_in_order_and_its_exceptions_are_raised(kind: type[Fake]) -> None:
    fake = kind(answer(b"1"), TransportError(reason="refused"), answer(b"2"))
    assert send(fake).body == b"1"
    with pytest.raises(TransportError, match="refused"):
        send(fake)
    assert fake.unused == 1
    assert send(fake).body == b"2"
    assert fake.unused == 0


@both
def test_a_request_without_an_answer_is_an_assertion_that_names_it(kind: type[Fake]) -> None:
    with pytest.raises(AssertionError, match=r"GET https://acme\.example/rules\.json"):
        send(kind())


@both
def test_what_was_asked_is_recorded_in_order(kind: type[Fake]) -> None:
    fake = kind(answer(), answer())
    other = HttpRequest("POST", "https://acme.example/", {}, b"{}")
    send(fake)
    send(fake, other, max_bytes=5)
    assert fake.asked == [Asked(_REQUEST, 3, None), Asked(other, 3, 5)]
    assert fake.requests == [_REQUEST, other]


@both
def test_a_function_may_answer_or_say_what_to_raise(kind: type[Fake]) -> None:
    fake = kind(by=lambda request: answer(b"ok") if request.method == "GET" else TransportError(reason="no"))
    assert send(fake).body == b"ok"
    with pytest.raises(TransportError):
        send(fake, HttpRequest("POST", "https://acme.example", {}))


def test_an_async_function_may_answer_the_async_fake() -> None:
    async def by(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return answer(request.url)

    assert send(AsyncFakeTransport(by=by)).body == _REQUEST.url.encode()


@both
def test_a_function_that_answers_nonsense_is_an_assertion(kind: type[Fake]) -> None:
    with pytest.raises(AssertionError, match="no HttpResponse"):
        send(kind(by=lambda request: "nonsense"))  # type: ignore[arg-type,return-value]


@both
def test_a_script_and_a_function_together_are_refused(kind: type[Fake]) -> None:
    with pytest.raises(TypeError):
        kind(answer(), by=lambda request: answer())


@both
def test_a_closed_fake_says_so_and_may_be_closed_again(kind: type[Fake]) -> None:
    fake = kind(answer())
    close(fake)
    close(fake)
    assert fake.closed
    with pytest.raises(ClosedError):
        send(fake)


@pytest.mark.parametrize("kind", [FakeTransport, HttpTransport])
@pytest.mark.parametrize("method", ["send", "close"])
def test_blocking_transports_are_called_as_the_protocol_says(kind: type, method: str) -> None:
    assert inspect.signature(getattr(kind, method)) == inspect.signature(getattr(Transport, method))


@pytest.mark.parametrize("kind", [AsyncFakeTransport, AsyncHttpTransport])
@pytest.mark.parametrize("method", ["send", "aclose"])
def test_async_transports_are_called_as_the_protocol_says(kind: type, method: str) -> None:
    assert inspect.signature(getattr(kind, method)) == inspect.signature(getattr(AsyncTransport, method))


def test_the_default_transports_take_the_same_options() -> None:
    blocking = inspect.signature(HttpTransport).parameters
    asynchronous = dict(inspect.signature(AsyncHttpTransport).parameters)
    del asynchronous["decoders"]  # threads that decode large bodies: the client's, not an option
    assert dict(blocking) == asynchronous
