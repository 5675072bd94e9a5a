"""Pipeline of a call without waiting: who decides, retries, results and reports."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e.client.target import artifact
from support.cases import each_case
from support.examples import examples
from targetry import TargetClient
from targetry._client.call_options import offer_settings
from targetry._client.decisions.call_settings import CallSettings
from targetry._client.decisions.reports import ImpressionReport
from targetry._client.options import client_settings
from targetry._client.pipeline import Attempt, OfferPipeline, PreparedCall, as_transport_error
from targetry._runtime.logger import Log
from targetry.delivery.clusters import ClusterDirectory
from targetry.delivery.retry import MAX_RETRIES, pause_s, retry_budget
from targetry.delivery.telemetry import TelemetryStore, artifact_entry
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.errors import (
    ApiException,
    ClosedError,
    DeadlineError,
    NotReadyError,
    TransportError,
)
from targetry.http.protocol import HttpResponse
from targetry.models import (
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    PrefetchRequest,
)
from targetry.notifications.request_builder import RequestBuilder
from targetry.testing import FakeTransport, answer

RULES = compile_artifact(artifact())
GEO_RULES = compile_artifact(artifact(geoTargetingEnabled=True))
HERO = DeliveryRequest(request_id="r1", execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
FAR = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="far")]))
OK = answer({"status": 200})
BUSY = answer(status=503, headers={"Retry-After": "0"})


class Engine:
    def __init__(self, rules: RuleSet | None, *, stale: bool = False) -> None:
        self.rules = rules
        self._stale = stale

    def in_use(self) -> tuple[RuleSet | None, bool]:
        return self.rules, self._stale

    def trace(self) -> dict[str, Any]:
        return {"artifactLocation": "here"}


class Lines:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        self.lines.append(message)

    def error(self, message: str) -> None:
        self.lines.append(message)


URL = "https://acme.tt.omtrdc.net/rest/v1/delivery?client=acme&sessionId=s-1-secret"


def pipeline_of(
    rules: RuleSet | None = None,
    *,
    report: Callable[[ImpressionReport], object] = lambda _: None,
    logger: Any = None,
    engine: Engine | None = None,
    **options: Any,
) -> OfferPipeline:
    given = {"client": "acme", "organization_id": "A@AdobeOrg", **options}
    engine = engine or (Engine(rules) if rules is not None else None)
    clusters = ClusterDirectory(time.monotonic)
    checked = client_settings(given, {})
    return OfferPipeline(
        checked,
        engine=engine,
        log=Log(logger),
        telemetry=TelemetryStore(enabled=checked.telemetry_enabled),
        report=report,
        clusters=clusters,
    )


def offer(request: DeliveryRequest = HERO, method: str = "server-side", **more: Any) -> CallSettings:
    pipeline = pipeline_of(decisioning_method=method)
    return offer_settings({"request": request, **more}, {}, pipeline._options.decisioning_method)


def talk(
    pipeline: OfferPipeline, call: PreparedCall, *outcomes: HttpResponse | ApiException
) -> tuple[Any, list[Attempt]]:
    """Drive a flow with outcomes; return its result or error, and its attempts."""
    flow, attempts = pipeline.delivery_flow(call), []
    unused = list(outcomes)
    attempt = next(flow)
    while True:
        attempts.append(attempt)
        try:
            attempt = flow.send(unused.pop(0))
        except StopIteration as end:
            return end.value, attempts
        except ApiException as error:
            return error, attempts


# Choice of the side that decides


@each_case(
    "method, rules, request_, is_local, remote",
    [
        ("server-side", None, HERO, False, []),
        ("server-side", RULES, FAR, False, ["far"]),
        ("on-device", RULES, HERO, True, []),
        ("on-device", RULES, FAR, True, []),
        ("hybrid", RULES, HERO, True, []),
        ("hybrid", RULES, FAR, False, ["far"]),
        ("hybrid", None, HERO, False, []),
    ],
)
def test_method_rules_and_locations_choose_the_decisioning_method(
    method: str, rules: RuleSet | None, request_: DeliveryRequest, is_local: bool, remote: list[str]
) -> None:
    call = pipeline_of(rules).prepare_call(offer(request_, method))
    assert call.is_local is is_local
    assert call.remote.mboxes == remote


@pytest.mark.parametrize(("hint", "cluster"), [("28", "28"), ("x@evil/", None), (None, None)])
def test_request_is_sent_to_the_configured_cluster_if_it_is_valid(
    hint: str | None, cluster: str | None
) -> None:
    assert pipeline_of(target_location_hint=hint).prepare_call(offer()).prepared.cluster == cluster


def test_location_is_looked_up_only_if_rules_use_it() -> None:
    here = Context(channel=ChannelType.WEB, geo=Geo(ip_address="127.0.0.1"))
    asked = DeliveryRequest(context=here, execute=HERO.execute)
    found = {
        (rules is GEO_RULES, method): pipeline_of(rules).prepare_call(offer(asked, method)).geo_to_resolve
        for rules in (RULES, GEO_RULES)
        for method in ("on-device", "hybrid", "server-side")
    }
    assert {key for key, address in found.items() if address is not None} == {
        (True, "on-device"),
        (True, "hybrid"),
    }


def test_on_device_without_rules_is_an_error() -> None:
    for engine in (None, Engine(None)):
        with pytest.raises(NotReadyError, match="decisioning engine not ready"):
            pipeline_of(engine=engine).prepare_call(offer(method="on-device"))


def test_call_keeps_the_rules_that_it_began_with() -> None:
    engine = Engine(RULES)
    pipeline = pipeline_of(engine=engine)
    call = pipeline.prepare_call(offer(method="on-device"))
    engine.rules = compile_artifact(artifact("later"))
    assert _title(pipeline.decide(call)) == "first"
    assert _title(pipeline.decide(pipeline.prepare_call(offer(method="on-device")))) == "later"


def test_artifact_removed_between_two_reads_does_not_break_a_call() -> None:
    engine = Engine(RULES)
    pipeline = pipeline_of(engine=engine)
    call = pipeline.prepare_call(offer(method="on-device"))
    engine.rules = None
    assert _title(pipeline.decide(call)) == "first"


def _title(result: Any) -> str:
    return str(result["response"].execute.mboxes[0].options[0].content["title"])


@each_case(
    "rules, geo, found",
    [
        (GEO_RULES, Geo(ip_address="12.21.1.40"), True),
        (RULES, Geo(ip_address="12.21.1.40"), False),
        (GEO_RULES, Geo(city="Rome"), False),
        (GEO_RULES, None, False),
    ],
    ids=["address", "rules that do not ask", "no address", "no geo"],
)
def test_address_is_looked_up_if_the_rules_use_it(rules: RuleSet, geo: Geo | None, found: bool) -> None:
    context = Context(channel=ChannelType.WEB, geo=geo)
    request = DeliveryRequest(context=context, execute=HERO.execute)
    call = pipeline_of(rules).prepare_call(offer(request, "on-device"))
    assert (call.geo_to_resolve == geo) is (found or geo is None)


def test_location_is_used_without_a_change_of_the_callers_request() -> None:
    context = Context(channel=ChannelType.WEB, geo=Geo(ip_address="12.21.1.40"))
    request = DeliveryRequest(context=context, execute=ExecuteRequest(mboxes=[MboxRequest(name="roman")]))
    pipeline = pipeline_of(GEO_RULES)
    call = pipeline.prepare_call(offer(request, "on-device"))
    call.prepared.set_geo(Geo(ip_address="12.21.1.40", city="Rome"))
    assert _title(pipeline.decide(call)) == "ave"
    assert context.geo == Geo(ip_address="12.21.1.40")


# The flow


def test_attempt_is_a_request_with_the_time_that_is_left() -> None:
    pipeline = pipeline_of(timeout=60_000)
    result, (attempt,) = talk(pipeline, pipeline.prepare_call(offer()), OK)
    assert result["response"].status == 200
    assert attempt.pause_s == 0
    assert 40 < attempt.timeout_s <= 60
    assert attempt.request.method == "POST"
    assert json.loads(attempt.request.body or b"")["requestId"] == "r1"


def test_preparation_counts_for_the_timeout() -> None:
    pipeline = pipeline_of(timeout=60_000)
    call = pipeline.prepare_call(offer())
    call = msgspec.structs.replace(call, started=call.started - 1)
    _, (attempt,) = talk(pipeline, call, OK)
    assert attempt.timeout_s <= 59


def test_pause_counts_for_the_timeout() -> None:
    pipeline = pipeline_of(timeout=60_000)
    waits = answer(status=503, headers={"Retry-After": "1"})
    _, attempts = talk(pipeline, pipeline.prepare_call(offer()), waits, OK)
    assert attempts[1].pause_s == 1
    assert attempts[1].timeout_s <= 59


_unsent = TransportError(reason="refused")
_unsent.unsent = True
OUTCOMES: dict[str, HttpResponse | ApiException] = {
    "ok": OK,
    "204": answer(status=204),
    "no answer": answer(b"<html>"),
    "302": answer(status=302),
    "400": answer(status=400),
    "429": answer(status=429),
    "500": answer(status=500),
    "502": answer(status=502),
    "503": BUSY,
    "503 later": answer(status=503, headers={"Retry-After": "1"}),
    "503 too late": answer(status=503, headers={"Retry-After": "9"}),
    "refused": _unsent,
    "reset": TransportError(reason="reset"),
    "late": DeadlineError(reason="late"),
}
AGAIN = {"502", "503", "503 later", "refused"}


@given(st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=3, max_size=3), st.integers())
@settings(max_examples=examples(200))
def test_every_delivery_flow_is_short_and_ends_with_the_last_outcome(names: list[str], seed: int) -> None:
    random.seed(seed)
    pipeline = pipeline_of(timeout=8500)
    result, attempts = talk(pipeline, pipeline.prepare_call(offer()), *(OUTCOMES[name] for name in names))
    tries = len(attempts)
    assert 1 <= tries <= 1 + MAX_RETRIES
    assert set(names[: tries - 1]) <= AGAIN
    assert names[tries - 1] not in AGAIN or tries == 1 + MAX_RETRIES
    first = attempts[0].request
    for number, attempt in enumerate(attempts):
        assert attempt.request == msgspec.structs.replace(first, resend_count=number)
    assert sum(attempt.pause_s for attempt in attempts) < 3
    last = OUTCOMES[names[tries - 1]]
    if names[tries - 1] in ("ok", "204"):
        assert result["meta"]["decisioning_method"] == "server-side"
    elif isinstance(last, ApiException):
        assert result is last
    else:
        assert (result.status, type(result)) == (last.status, ApiException)


@given(
    st.sampled_from(sorted(OUTCOMES)),
    st.integers(1, 5),
    st.floats(-1, 10, allow_nan=False),
    st.floats(0, 1, exclude_max=True),
)
def test_pause_is_shorter_than_the_remaining_time(
    name: str, tries: int, left_s: float, chance: float
) -> None:
    outcome = OUTCOMES[name]
    if isinstance(outcome, HttpResponse):
        outcome = ApiException(outcome.status, headers=outcome.headers)
    pause = pause_s(outcome, tries, left_s, chance)
    if pause is not None:
        assert 0 <= pause < left_s
        assert tries <= MAX_RETRIES
        assert name in {*AGAIN, "503 too late"}


@each_case("text", ["", "soon", "-1", "1.5", "٣", "Wed, 21 Oct 2015 07:28:00 GMT", "1, 2"])
def test_retry_after_that_is_not_a_number_is_ignored(text: str) -> None:
    pause = pause_s(ApiException(503, headers={"retry-after": text}), 1, 3.0, 0.5)
    assert pause is not None
    assert 0 < pause < 1


def test_budget_is_ten_retries_and_one_for_every_ten_successes() -> None:
    budget = retry_budget()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    budget.earn()  # tenths do not add up to one exactly
    assert budget.spend()


COOKIE_44 = "PC#d.44_0#4000000000"
OWN, EDGE_44 = "acme.tt.omtrdc.net", "mboxedge44.tt.omtrdc.net"
LATE = DeadlineError(reason="late")


def hosts(attempts: list[Attempt]) -> list[str]:
    return [attempt.request.url.split("/")[2] for attempt in attempts]


def ask(
    pipeline: OfferPipeline, *outcomes: HttpResponse | ApiException, **options: Any
) -> tuple[Any, list[str]]:
    """Make a call whose cookie names cluster 44; return the result or error, and the hosts."""
    call = pipeline.prepare_call(offer(HERO, target_cookie=COOKIE_44, **options))
    result, attempts = talk(pipeline, call, *outcomes)
    return result, hosts(attempts)


UNREACHABLE: dict[str, HttpResponse | ApiException] = {
    "refused": _unsent,
    "502": answer(status=502),
    "503": BUSY,
    "504": answer(status=504),
    "403": answer(status=403),
    "404": answer(status=404),
}


@each_case("outcome", UNREACHABLE.values(), ids=UNREACHABLE)
def test_unreachable_cluster_is_replaced_by_the_own_host(
    outcome: HttpResponse | ApiException,
) -> None:
    pipeline = pipeline_of()
    result, asked = ask(pipeline, outcome, OK)
    assert result["response"].status == 200
    assert "target_location_hint_cookie" not in result
    assert asked == [EDGE_44, OWN]
    assert ask(pipeline, OK)[1] == [OWN]


def test_request_is_the_same_at_the_own_host() -> None:
    pipeline = pipeline_of()
    _, attempts = talk(
        pipeline, pipeline.prepare_call(offer(HERO, target_cookie=COOKIE_44, session_id="s1")), _unsent, OK
    )
    first, second = (attempt.request for attempt in attempts)
    assert (first.body, first.headers) == (second.body, second.headers)
    assert second.url == first.url.replace(EDGE_44, OWN)


@each_case("outcome", [answer(status=400), answer(status=500), TransportError(reason="reset"), LATE])
def test_request_that_may_have_arrived_is_not_sent_to_another_host(
    outcome: HttpResponse | ApiException,
) -> None:
    assert ask(pipeline_of(), outcome)[1] == [EDGE_44]


@pytest.mark.parametrize("outcome", [TransportError(reason="reset"), LATE], ids=["reset", "late"])
def test_unknown_cluster_without_a_response_is_not_tried_again(outcome: ApiException) -> None:
    pipeline = pipeline_of()
    ask(pipeline, outcome)
    assert ask(pipeline, OK)[1] == [OWN]


def test_unknown_cluster_leaves_half_of_the_time_to_the_own_host() -> None:
    late = DeadlineError(reason="late")
    late.unsent = True
    pipeline = pipeline_of(timeout=10_000)
    call = pipeline.prepare_call(offer(HERO, target_cookie=COOKIE_44))
    result, attempts = talk(pipeline, call, late, OK)
    assert result["response"].status == 200
    assert hosts(attempts) == [EDGE_44, OWN]
    assert attempts[0].timeout_s <= 5 < attempts[1].timeout_s


def test_cluster_that_responded_before_is_tried_again_after_a_failure() -> None:
    pipeline = pipeline_of()
    ask(pipeline, OK)
    assert ask(pipeline, _unsent, OK)[1] == [EDGE_44, OWN]
    assert ask(pipeline, OK)[1] == [EDGE_44]


def test_forged_clusters_do_not_use_the_retry_budget() -> None:
    pipeline = pipeline_of()
    for number in range(100, 200):
        cookie = f"PC#d.{number}_0#4000000000"
        call = pipeline.prepare_call(offer(HERO, target_cookie=cookie))
        is_tried = pipeline._clusters.choose(call.prepared.cluster) is not None
        talk(pipeline, call, *[_unsent] * is_tried, OK)
    assert pipeline._budget.tokens == 10


def test_failing_own_host_is_retried_within_its_budget_after_a_failing_cluster() -> None:
    _, asked = ask(pipeline_of(), _unsent, BUSY, BUSY, BUSY)
    assert asked == [EDGE_44, OWN, OWN, OWN]


def test_closed_delivery_flow_returns_its_telemetry() -> None:
    """As when a task is cancelled."""
    pipeline = pipeline_of()
    flow = pipeline.delivery_flow(pipeline.prepare_call(offer()))
    next(flow)
    flow.close()
    result, _ = talk(pipeline, pipeline.prepare_call(offer()), OK)
    assert result["response"].status == 200


# Handing back, and over


def test_stale_artifact_is_reported_only_where_it_decided() -> None:
    pipeline = pipeline_of(engine=Engine(RULES, stale=True))
    assert pipeline.decide(pipeline.prepare_call(offer(method="on-device")))["meta"]["stale"] is True
    result, _ = talk(pipeline, pipeline.prepare_call(offer(FAR, "hybrid")), OK)
    assert "stale" not in result["meta"]


def test_decision_reports_its_impressions_with_their_count() -> None:
    reports: list[ImpressionReport] = []
    pipeline = pipeline_of(RULES, report=reports.append, target_location_hint="28", telemetry_enabled=False)
    result = pipeline.decide(
        pipeline.prepare_call(offer(method="on-device", session_id="s1", visitor_cookie="MCMID|1"))
    )
    (report,) = reports
    assert report.count == 1
    assert report.visitor is not None
    assert report.visitor.get_state() == result["visitor_state"]
    assert (report.session_id, report.cluster) == ("s1", "28")
    notifications = RequestBuilder(pipeline.telemetry).build(report).notifications
    assert notifications is not None
    assert [one.tokens for one in notifications] == [["token-hero-1"]]


def test_nothing_is_submitted_if_nothing_was_shown() -> None:
    reports: list[ImpressionReport] = []
    pipeline = pipeline_of(RULES, report=reports.append)
    look = DeliveryRequest(prefetch=PrefetchRequest(mboxes=[MboxRequest(name="hero")]))
    pipeline.decide(pipeline.prepare_call(offer(look, "on-device")))
    pipeline.decide(pipeline.prepare_call(offer(FAR, "on-device")))
    assert reports == []


def test_first_report_built_carries_the_waiting_telemetry() -> None:
    reports: list[ImpressionReport] = []
    pipeline = pipeline_of(RULES, report=reports.append)
    for _ in range(3):
        pipeline.decide(pipeline.prepare_call(offer(method="on-device")))
    assert len(pipeline.telemetry) == 3
    builder = RequestBuilder(pipeline.telemetry)
    telemetry = builder.build(reports[0]).telemetry
    assert telemetry is not None
    assert len(telemetry.entries or ()) == 3
    assert builder.build(reports[1]).telemetry is None


def test_no_more_than_a_thousand_measurements_wait() -> None:
    pipeline = pipeline_of(RULES)
    for _ in range(1005):
        pipeline.decide(pipeline.prepare_call(offer(method="on-device")))
    assert len(pipeline.telemetry) == 1000
    assert pipeline.telemetry.dropped == 5


def test_request_and_response_are_logged_without_the_query() -> None:
    logger = Lines()
    pipeline = pipeline_of(logger=logger)
    talk(pipeline, pipeline.prepare_call(offer()), OK)
    sent, received = (line for line in logger.lines if line.startswith("Re"))
    assert sent.startswith('Request sent POST https://acme.tt.omtrdc.net {"requestId":"r1"')
    assert "AdobeOrg" not in sent
    assert received == 'Response received {"status":200}'


# Failures of transports


@pytest.mark.parametrize("error", [TransportError(reason="x"), DeadlineError(reason="x"), ApiException(500)])
def test_targetry_error_is_unchanged(error: ApiException) -> None:
    assert as_transport_error(error, URL) is error


def test_other_error_becomes_a_transport_error_with_its_cause() -> None:
    cause = OSError(5, "broken")
    error = as_transport_error(cause, URL)
    assert type(error) is TransportError
    assert error.__cause__ is cause
    assert not error.unsent


@each_case(
    "message, shown",
    [
        (
            "proxy http://user:secret@proxy.example:3128 refused",
            "proxy http://***@proxy.example:3128 refused",
        ),
        ("http://user:se@cr/et@proxy.example/", "http://***@proxy.example/"),
        (f"no route to {URL}", "no route to https://acme.tt.omtrdc.net/rest/v1/delivery?***"),
        (f"no route to {URL.partition('omtrdc.net')[2]}", "no route to /rest/v1/delivery?***"),
        ("mail to a@example.com", "mail to a@example.com"),
        ("x" * 5000, "x" * 900),
    ],
    ids=["proxy", "odd password", "URL of the request", "part of it", "no URL", "long"],
)
def test_quoted_transport_error_hides_passwords_and_queries(message: str, shown: str) -> None:
    error = as_transport_error(OSError(message), URL)
    assert shown in (error.reason or "")
    assert "secret" not in str(error)
    assert len(error.reason or "") < 1100


def test_transport_error_that_cannot_be_shown_is_named() -> None:
    class UnprintableError(Exception):
        def __repr__(self) -> str:
            raise RuntimeError

    assert as_transport_error(UnprintableError(), URL).reason == "the transport failed: UnprintableError"


@each_case("answered", [None, b"{}", object(), {"status": 200}])
def test_transport_without_a_response_is_a_transport_error(answered: Any) -> None:
    pipeline = pipeline_of()
    error, attempts = talk(pipeline, pipeline.prepare_call(offer()), answered)
    assert type(error) is TransportError
    assert "not an HttpResponse" in (error.reason or "")
    assert len(attempts) == 1


def test_closed_transport_raises_closed_error() -> None:
    with pytest.raises(ClosedError):
        as_transport_error(ClosedError("closed"), URL)


def test_call_after_its_deadline_sends_nothing_and_keeps_telemetry() -> None:
    pipeline = pipeline_of(timeout=400)
    pipeline.telemetry.add(artifact_entry(timestamp=1, execution_ms=1.0, response_size=1))
    call = pipeline.prepare_call(offer(), submitted=time.perf_counter() - 0.5)
    with pytest.raises(DeadlineError, match="other calls used all threads"):
        next(pipeline.delivery_flow(call))
    assert len(pipeline.telemetry) == 1


def test_error_within_http_200_is_logged_with_its_message(caplog: pytest.LogCaptureFixture) -> None:
    refused = {"status": 400, "message": "Invalid property token", "requestId": "r1"}
    transport = FakeTransport(*[answer(refused)] * 3)
    with TargetClient.create(client="acme", organization_id="1@AdobeOrg", transport=transport) as client:
        for _ in range(3):
            assert client.get_offers(request={"execute": {"pageLoad": {}}}).response.status == 400
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 1
    assert "status 400" in lines[0]
    assert "Invalid property token" in lines[0]


@pytest.mark.parametrize("body", [{"status": 200}, {"status": 206}, {}, {"status": None}])
def test_response_without_an_error_is_not_logged(body: Any, caplog: pytest.LogCaptureFixture) -> None:
    with TargetClient.create(
        client="acme", organization_id="1@AdobeOrg", transport=FakeTransport(answer(body))
    ) as client:
        client.get_offers(request={"execute": {"pageLoad": {}}})
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
