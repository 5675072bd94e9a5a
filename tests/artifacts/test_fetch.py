from __future__ import annotations

import itertools
import traceback

import pytest

from support.background_fakes import REFUSED, Network, answer
from support.cases import each_case
from targetry.artifacts.fetch import Downloaded, Failed, NotModified, Outcome, fetch, read
from targetry.artifacts.poll_schedule import Pace
from targetry.errors import DeadlineError, TransportError
from targetry.http.protocol import HttpResponse

URL = "https://cdn.example/acme/production/v1/rules.json"


def ask(network: Network, etag: str | None = None) -> Outcome:
    timer = itertools.count().__next__  # a second per reading
    return fetch(network, URL, etag=etag, timeout_s=3, max_bytes=10, now=0, timer=timer)


def test_200_brings_bytes_etag_and_headers() -> None:
    network = Network(answer(200, b"{}", etag='"1"', x_geo_city="Rome"))
    assert ask(network) == Downloaded(b"{}", '"1"', {"etag": '"1"', "x-geo-city": "Rome"}, 1000.0)
    assert network.limits == [(3, 10)]


def test_first_request_has_no_condition() -> None:
    network = Network(answer(200))
    ask(network)
    assert [(r.method, r.url, r.headers) for r in network.requests] == [("GET", URL, {})]


def test_known_etag_makes_the_request_conditional() -> None:
    network = Network(answer(304))
    assert ask(network, '"1"') == NotModified()
    assert network.requests[0].headers == {"if-none-match": '"1"'}


def test_unconditional_304_is_requested_once_more_past_caches() -> None:
    network = Network(answer(304), answer(200, b"{}"))
    assert isinstance(ask(network), Downloaded)
    assert [r.headers for r in network.requests] == [{}, {"cache-control": "no-cache"}]


def test_second_unconditional_304_is_a_failure() -> None:
    network = Network(answer(304))
    outcome = ask(network)
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "Non-200 status code response from artifact request: 304"
    assert len(network.requests) == 2


@each_case(
    "response, text, reason, pace",
    [
        (
            answer(403),
            "Artifact request is not authorized. This is likely due to On-Device-Decisioning being disabled in "
            "Admin settings.  Please enable and try again.",
            "status_403",
            Pace.SLOW,
        ),
        (answer(404), "Non-200 status code response from artifact request: 404", "status_404", Pace.SLOW),
        (answer(503), "Non-200 status code response from artifact request: 503", "status_503", Pace.RETRY),
        (answer(204), "Non-200 status code response from artifact request: 204", "status_204", Pace.RETRY),
        (answer(200, b"x" * 11), "the response is larger than 10 bytes", "too_large", Pace.POLL),
    ],
    ids=["403", "404", "503", "204", "too large"],
)
def test_other_status_is_a_failure_with_the_official_text(
    response: HttpResponse, text: str, reason: str, pace: Pace
) -> None:
    outcome = read(response, 0, conditional=True, max_bytes=10, now=0)
    assert isinstance(outcome, Failed)
    assert (str(outcome.error), outcome.reason, outcome.pace) == (text, reason, pace)


def test_failure_has_the_retry_after_of_the_response() -> None:
    outcome = ask(Network(answer(429, retry_after="17")))
    assert isinstance(outcome, Failed)
    assert outcome.retry_after_s == 17


@each_case(
    "error, text, reason, pace",
    [
        (REFUSED, "connection refused", "connection", Pace.RETRY),
        (DeadlineError(reason="no response within 3 s"), "no response within 3 s", "timeout", Pace.RETRY),
        (
            TransportError(reason="the answer is larger than 10 bytes"),
            "the answer is larger than 10 bytes",
            "too_large",
            Pace.POLL,
        ),
        (RuntimeError("boom"), "boom", "connection", Pace.RETRY),
        (KeyError(), "KeyError", "connection", Pace.RETRY),
    ],
    ids=["no connection", "deadline", "too large", "foreign", "foreign without text"],
)
def test_transport_error_is_a_failure_with_its_cause(
    error: Exception, text: str, reason: str, pace: Pace
) -> None:
    outcome = ask(Network(error))
    assert isinstance(outcome, Failed)
    assert (str(outcome.error), outcome.reason, outcome.pace) == (text, reason, pace)
    assert outcome.error.__cause__ is error


def _chained(message: str, cause: Exception) -> Exception:
    error = RuntimeError(message)
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("GET https://me:hush@cdn.example/rules.json?sig=t0ken failed"),
        TransportError(reason="Max retries exceeded with url: /rules.json?sig=t0ken"),
        _chained("failed", OSError("no way to https://me:hush@cdn.example/rules.json")),
    ],
    ids=["own transport", "query", "in the context"],
)
def test_error_of_transport_shows_no_secret_of_url(error: Exception) -> None:
    url = "https://me:hush@cdn.example/rules.json?sig=t0ken"
    outcome = fetch(Network(error), url, etag=None, timeout_s=3, max_bytes=10, now=0)
    assert isinstance(outcome, Failed)
    text = "".join(traceback.format_exception(outcome.error))
    assert "hush" not in text
    assert "t0ken" not in text
