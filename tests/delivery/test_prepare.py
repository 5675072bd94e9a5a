from __future__ import annotations

import copy
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.examples import examples
from targetry.delivery.prepare import (
    IgnoredInput,
    PreparedRequest,
    RequestDefaults,
    ensure_visitor_id,
    prepare,
)
from targetry.errors import OptionError
from targetry.models import (
    Address,
    AnalyticsRequest,
    AudienceManager,
    Context,
    CustomerId,
    DeliveryRequest,
    ExecuteRequest,
    ExperienceCloud,
    Geo,
    MboxRequest,
    ModelProperty,
    Notification,
    PrefetchRequest,
    RequestDetails,
    Telemetry,
    TelemetryEntry,
    Trace,
    ViewRequest,
    VisitorId,
    snapshot,
)
from targetry.visitor import Visitor, VisitorLike

NOW = 1_600_000_000.25
LATER = 1_600_000_500
ORG = "0DD934B85278256B0A490D44@AdobeOrg"
ECID = "20250794242226839061607285880759069379"
SDID = "0123456789ABCDEF-0123456789abcdef"
AMCV = f"MCMID|{ECID}|MCAAMLH-1555968000|9|MCAAMB-1555968000|blob"


class CallOptions(msgspec.Struct):
    """The options of a call."""

    target_cookie: str | None = None
    session_id: str | None = None
    target_location_hint: str | None = None
    consumer_id: str | None = None
    customer_ids: Any = None


class Log:
    """Logger that records (level, text)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def of(self, level: str) -> list[str]:
        return [text for found, text in self.lines if found == level]

    def debug(self, message: str, *args: object) -> None:
        self.lines.append(("debug", message % args))

    def error(self, message: str, *args: object) -> None:
        self.lines.append(("error", message % args))

    def warning(self, message: str, *args: object) -> None:
        self.lines.append(("warning", message % args))


class RateLimited:
    """Rate-limited log that records (kind, text, number)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, object]] = []

    def warning(self, kind: str, message: str, *args: object) -> None:
        self.lines.append((kind, message, *args))


def prepared(
    request: DeliveryRequest | None = None,
    *,
    visitor: VisitorLike | None = None,
    wire: bool = True,
    log: Log | None = None,
    environment_id: int | None = None,
    property_token: str | None = None,
    sticky_cluster: str | None = None,
    routes_by_cookie: bool = True,
    ignored: IgnoredInput | None = None,
    rate_limited_log: RateLimited | None = None,
    wants_sdid: bool = True,
    **asked: Any,
) -> PreparedRequest:
    """Prepare a request with ids `id1`, `id2`, … and the given options only."""
    numbers = count(1)
    defaults = RequestDefaults(
        lambda: f"id{next(numbers)}",
        log or Log(),
        environment_id,
        property_token,
        sticky_cluster,
        60,
        routes_by_cookie,
    )
    defaults.ignored = ignored or defaults.ignored
    defaults.rate_limited_log = rate_limited_log
    asked_for = CallOptions(**asked)
    return prepare(
        request or DeliveryRequest(), asked_for, defaults, visitor, NOW, wire=wire, wants_sdid=wants_sdid
    )


def mboxes(*names: str | None, **fields: Any) -> list[MboxRequest]:
    return [MboxRequest(name=name, **fields) for name in names]


# Session, cluster


@each_case(
    "cookie, option, expected",
    [
        (f"session#c1#{LATER}", "o1", "c1"),
        (f"session#{'c' * 129}#{LATER}", "o1", "o1"),
        (f"session#c%201#{LATER}", "o1", "o1"),
        (f"session#c%2F1#{LATER}", "o1", "o1"),
        (f"session#c%0A1#{LATER}", "o1", "o1"),
        ("session#c1#1", "o1", "o1"),
        (None, "o1", "o1"),
        (None, None, "id2"),
        (None, "", "id2"),
        ("nonsense", None, "id2"),
    ],
    ids=[
        "cookie first",
        "too long",
        "blank",
        "slash",
        "control",
        "expired cookie",
        "option",
        "new",
        "empty option",
        "broken cookie",
    ],
)
def test_session_id_is_of_the_cookie_else_the_option_else_new(
    cookie: str | None, option: str | None, expected: str
) -> None:
    assert prepared(target_cookie=cookie, session_id=option).session_id == expected


ROUTES = [
    ("nothing known", None, None, None, (None, False)),
    ("sticky", None, None, "28", ("28", False)),
    ("hint before sticky", None, "31", "28", ("31", True)),
    ("device id before hint", f"PC#d.35_0#{LATER}", "31", "28", ("35", True)),
    ("device id without a cluster", f"PC#d#{LATER}", "31", "28", ("31", True)),
    ("device id without a cluster, sticky", f"PC#d#{LATER}", None, "28", ("28", False)),
    ("expired device id", "PC#d.35_0#1", None, "28", ("28", False)),
    ("empty hint", None, "", "28", ("28", False)),
    ("hint that is no cluster", None, "x@evil/", "28", ("28", False)),
    ("hint that is no number", None, "zz9", "28", ("28", False)),
    ("device id that is no number", f"PC#d.zz9_0#{LATER}", "31", "28", ("31", True)),
    ("device id that leads elsewhere", f"PC#d.x%40evil%2F_0#{LATER}", None, None, (None, False)),
]


@each_case("cookie, hint, sticky, expected", [row[1:] for row in ROUTES], ids=[row[0] for row in ROUTES])
def test_cluster_of_the_visitor_precedes_that_of_the_client(
    cookie: str | None, hint: str | None, sticky: str | None, expected: tuple[str | None, bool]
) -> None:
    result = prepared(target_cookie=cookie, target_location_hint=hint, sticky_cluster=sticky)

    assert (result.cluster, result.routed_by_cookie) == expected


def test_cookies_do_not_route_if_the_address_forbids_it() -> None:
    result = prepared(
        target_cookie=f"PC#d.35_0#{LATER}",
        target_location_hint="31",
        routes_by_cookie=False,
    )

    assert (result.cluster, result.routed_by_cookie) == ("31", True)


def test_tnt_id_of_the_request_does_not_route() -> None:
    request = DeliveryRequest(id=VisitorId(tnt_id="d.35_0"))

    assert prepared(request).cluster is None


def test_location_hint_that_is_not_a_cluster_is_logged() -> None:
    log = Log()
    prepared(target_location_hint="x@evil/", log=log)

    assert [level for level, _ in log.lines] == ["debug"]
    assert "'x@evil/'" in log.lines[0][1]


# Request id, environment, property, context


@pytest.mark.parametrize(("own", "expected"), [("r1", "r1"), (None, "id1"), ("", "id1")])
def test_request_keeps_its_id_or_gets_one(own: str | None, expected: str) -> None:
    assert prepared(DeliveryRequest(request_id=own)).request.request_id == expected


@each_case("own, option, expected", [(5, 7, 5), (0, 7, 0), (None, 7, 7), (None, None, None)])
def test_environment_of_the_request_precedes_that_of_the_client(
    own: int | None, option: int | None, expected: int | None
) -> None:
    request = DeliveryRequest(environment_id=own)

    assert prepared(request, environment_id=option).request.environment_id == expected


PROPERTIES = [
    ("request's", ModelProperty(token="r"), "r", ModelProperty(token="r"), []),
    ("client's", None, "c", ModelProperty(token="c"), []),
    ("client's, request's empty", ModelProperty(token=""), "c", ModelProperty(token="c"), []),
    ("none", None, None, None, []),
    ("none, request's empty", ModelProperty(token=""), None, None, []),
    ("none, client's empty", None, "", None, []),
    (
        "request's over client's",
        ModelProperty(token="r"),
        "c",
        ModelProperty(token="r"),
        [
            (
                "debug",
                "The property token specified in the request 'r' does not match the one specified in the config 'c'.",
            )
        ],
    ),
    (
        "request's, client without",
        ModelProperty(token="r"),
        None,
        ModelProperty(token="r"),
        [
            (
                "debug",
                "The property token specified in the request 'r' does not match the one specified in the config 'None'.",
            )
        ],
    ),
]


@each_case(
    "own, option, expected, lines",
    [row[1:] for row in PROPERTIES],
    ids=[row[0] for row in PROPERTIES],
)
def test_property_is_of_the_request_else_of_the_client(
    own: ModelProperty | None,
    option: str | None,
    expected: ModelProperty | None,
    lines: list[tuple[str, str]],
) -> None:
    log = Log()
    request = prepared(DeliveryRequest(_property=own), property_token=option, log=log).request

    assert request._property == expected
    assert log.lines == lines


@each_case("own, expected", [("web", "web"), ("mobile", "mobile"), (None, "web"), ("tv", "web"), ("", "web")])
def test_channel_that_is_neither_web_nor_mobile_becomes_web(own: Any, expected: str) -> None:
    context = prepared(DeliveryRequest(context=Context(channel=own))).request.context

    assert context is not None
    assert context.channel == expected


@pytest.mark.parametrize(("own", "expected"), [(None, 60), (0, 0), (-300.0, -300.0)])
def test_time_offset_is_filled_only_when_absent(own: float | None, expected: float) -> None:
    request = DeliveryRequest(context=Context(channel="web", time_offset_in_minutes=own))
    context = prepared(request).request.context

    assert context is not None
    assert context.time_offset_in_minutes == expected


def test_missing_context_is_that_of_a_web_page() -> None:
    assert prepared().request.context == Context(channel="web", time_offset_in_minutes=60)


def test_rest_of_the_context_is_untouched() -> None:
    request = DeliveryRequest(context=Context(channel="web", address=Address(url="http://a"), user_agent="u"))
    context = prepared(request).request.context

    assert context is not None
    assert (context.address, context.user_agent) == (Address(url="http://a"), "u")


# Execute, prefetch, notifications


def test_mboxes_without_an_index_get_their_position() -> None:
    request = DeliveryRequest(
        execute=ExecuteRequest(mboxes=mboxes("a", "b")), prefetch=PrefetchRequest(mboxes=mboxes("c"))
    )
    result = prepared(request).request

    assert [(m.index, m.name) for m in result.execute.mboxes] == [(0, "a"), (1, "b")]
    assert [(m.index, m.name) for m in result.prefetch.mboxes] == [(0, "c")]


def test_given_index_is_kept() -> None:
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(index=7, name="a"), *mboxes("b")]))

    assert [m.index for m in prepared(request).request.execute.mboxes] == [7, 1]


def test_mboxes_without_a_name_are_left_out_logged_and_counted() -> None:
    log, ignored = Log(), IgnoredInput()
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=mboxes("a", "", None, "b")))
    result = prepared(request, log=log, ignored=ignored).request

    assert [(m.index, m.name) for m in result.execute.mboxes] == [(0, "a"), (1, "b")]
    assert log.of("error") == [
        f"Mbox validation failed for: mbox {position} has no name; it is left out" for position in (1, 2)
    ]
    assert ignored.mboxes == 2


def test_data_of_a_visitor_is_logged_at_debug_only() -> None:
    log = Log()
    private = {"parameters": {"a": "private"}, "profile_parameters": {"user.b": "private"}}
    request = DeliveryRequest(
        context=Context(channel="web", geo=Geo(ip_address="private")),
        execute=ExecuteRequest(page_load=RequestDetails(), mboxes=mboxes("", **private)),
        prefetch=PrefetchRequest(page_load=RequestDetails(), mboxes=mboxes(None, **private)),
        notifications=[Notification(id="private", **private)],
    )
    prepared(request, log=log)

    assert {level for level, text in log.lines if "private" in text} == {"debug"}
    assert len(log.of("error")) == 3


PARTS = [
    ("nothing in execute", ExecuteRequest(), None, None, None),
    ("empty list", ExecuteRequest(mboxes=[]), None, None, None),
    ("no valid mbox", ExecuteRequest(mboxes=mboxes("")), None, None, None),
    (
        "page load and no valid mbox",
        ExecuteRequest(page_load=RequestDetails(), mboxes=mboxes("")),
        None,
        ExecuteRequest(page_load=RequestDetails()),
        None,
    ),
    ("nothing in prefetch", None, PrefetchRequest(), None, None),
    ("empty lists", None, PrefetchRequest(mboxes=[], views=[]), None, None),
    ("views", None, PrefetchRequest(views=[ViewRequest()]), None, PrefetchRequest(views=[ViewRequest()])),
    (
        "page load",
        None,
        PrefetchRequest(page_load=RequestDetails()),
        None,
        PrefetchRequest(page_load=RequestDetails()),
    ),
]


@each_case(
    "execute, prefetch, kept_execute, kept_prefetch",
    [row[1:] for row in PARTS],
    ids=[row[0] for row in PARTS],
)
def test_empty_part_of_a_request_is_dropped(
    execute: ExecuteRequest | None,
    prefetch: PrefetchRequest | None,
    kept_execute: ExecuteRequest | None,
    kept_prefetch: PrefetchRequest | None,
) -> None:
    result = prepared(
        DeliveryRequest(execute=copy.deepcopy(execute), prefetch=copy.deepcopy(prefetch))
    ).request

    assert (result.execute, result.prefetch) == (kept_execute, kept_prefetch)


NOTIFICATIONS = [
    ("no id", {"id": None}, "no id"),
    ("empty id", {"id": ""}, "no id"),
    ("no timestamp", {"timestamp": None}, "no timestamp"),
    ("no type", {"type": None}, "a type other than click and display"),
    ("unknown type", {"type": "hover"}, "a type other than click and display"),
]
GOOD = Notification(id="good", timestamp=0, type="click")


@each_case("fields, fault", [row[1:] for row in NOTIFICATIONS], ids=[row[0] for row in NOTIFICATIONS])
def test_invalid_notification_is_left_out_logged_and_counted(fields: dict[str, Any], fault: str) -> None:
    log, ignored = Log(), IgnoredInput()
    wrong = Notification(**({"id": "n", "timestamp": 12, "type": "display"} | fields))
    result = prepared(DeliveryRequest(notifications=[GOOD, wrong]), log=log, ignored=ignored).request

    assert result.notifications == [GOOD]
    text = f"Notification validation failed for: notification 1 has {fault}; it is left out"
    assert log.of("error") == [text]
    assert ignored.notifications == 1


@each_case("fields, fault", [row[1:] for row in NOTIFICATIONS], ids=[row[0] for row in NOTIFICATIONS])
def test_invalid_notifications_alone_are_an_error_instead_of_an_empty_call(
    fields: dict[str, Any], fault: str
) -> None:
    wrong = Notification(**({"id": "n", "timestamp": 12, "type": "display"} | fields))
    with pytest.raises(OptionError) as caught:
        prepared(DeliveryRequest(notifications=[wrong]))

    assert (caught.value.path, caught.value.reason) == ("request.notifications[0]", f"has {fault}")


@pytest.mark.parametrize(
    "rest",
    [
        {"execute": ExecuteRequest(page_load=RequestDetails())},
        {"prefetch": PrefetchRequest(page_load=RequestDetails())},
        {"telemetry": Telemetry([TelemetryEntry(timestamp=1)])},
    ],
    ids=lambda rest: next(iter(rest)),
)
def test_rest_of_a_request_is_sent_without_invalid_notifications(rest: dict[str, Any]) -> None:
    request = DeliveryRequest(notifications=[Notification()], **rest)

    assert prepared(request).request.notifications is None


ADDRESSES = [
    ("testclient", None),
    ("unknown", None),
    ("_hidden", None),
    ("", None),
    (" ", None),
    ("999.1.1.1", None),
    ("unknownIpAddress", None),
    ("203.0.113.7", "203.0.113.7"),
    ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
    ("fe80::1%eth0", "fe80::1%eth0"),
    ("10.0.0.1", "10.0.0.1"),
]


@each_case("address, kept", ADDRESSES)
def test_invalid_ip_address_is_ignored_and_counted(address: str, kept: str | None) -> None:
    ignored, limited = IgnoredInput(), RateLimited()
    for geo in (Geo(ip_address=address), Geo(ip_address=address, city="Rome")):
        request = DeliveryRequest(context=Context(channel="web", geo=geo))
        context = prepared(request, ignored=ignored, rate_limited_log=limited).request.context
        expected = Geo(ip_address=kept, city=geo.city)
        assert context.geo == (None if expected == Geo() else expected)

    assert ignored.ip_addresses == (0 if kept else 2)
    assert [(kind, number) for kind, _, number in limited.lines] == (
        [] if kept else [("ip-address", 1), ("ip-address", 2)]
    )


def test_unknown_address_is_left_to_the_lookup_on_device() -> None:
    request = DeliveryRequest(context=Context(channel="web", geo=Geo(ip_address="unknownIpAddress")))

    assert prepared(request, wire=False).request.context.geo == Geo(ip_address="unknownIpAddress")


@each_case(
    "context, resolved",
    [
        (None, None),
        (Context(channel="web"), None),
        (Context(channel="web", geo=Geo(city="Rome")), None),
        (Context(channel="web", geo=Geo(ip_address="10.0.0.1")), Geo(ip_address="10.0.0.1")),
    ],
)
def test_geo_with_an_address_is_resolved_and_replaced(context: Context | None, resolved: Geo | None) -> None:
    request = PreparedRequest(DeliveryRequest(context=copy.deepcopy(context)), "session")

    assert request.geo_to_resolve == resolved
    assert not request.routed_by_cookie
    request.set_geo(Geo(city="ULM"))
    assert request.request.context == (context and Context(channel="web", geo=Geo(city="ULM")))


def test_empty_list_of_notifications_is_left_out() -> None:
    assert prepared(DeliveryRequest(notifications=[])).request.notifications is None


def test_other_parts_are_untouched() -> None:
    request = DeliveryRequest(impression_id="i", trace=Trace(authorization_token="t"))
    result = prepared(request).request

    assert (result.impression_id, result.trace) == ("i", Trace(authorization_token="t"))


# Ids


def test_empty_id_is_left_out() -> None:
    assert prepared(DeliveryRequest(id=VisitorId())).request.id is None
    assert prepared(DeliveryRequest(id=VisitorId(tnt_id="", customer_ids=[]))).request.id is None


@each_case(
    "own, expected",
    [
        (None, VisitorId(tnt_id="d.35_0")),
        (VisitorId(tnt_id="mine"), VisitorId(tnt_id="mine")),
        (VisitorId(tnt_id=""), VisitorId(tnt_id="d.35_0")),
        (VisitorId(third_party_id="t"), VisitorId(tnt_id="d.35_0", third_party_id="t")),
    ],
    ids=["no id", "own tnt id", "empty tnt id", "other id"],
)
def test_tnt_id_is_of_the_request_else_of_the_cookie(own: VisitorId | None, expected: VisitorId) -> None:
    assert prepared(DeliveryRequest(id=own), target_cookie=f"PC#d.35_0#{LATER}").request.id == expected


@pytest.mark.parametrize(("own", "expected"), [(None, ECID), ("", ECID), ("mine", "mine")])
def test_ecid_is_of_the_request_else_of_the_visitor(own: str | None, expected: str) -> None:
    request = DeliveryRequest(id=VisitorId(marketing_cloud_visitor_id=own))
    result = prepared(request, visitor=Visitor(ORG, AMCV)).request

    assert result.id == VisitorId(marketing_cloud_visitor_id=expected)


def test_device_id_longer_than_the_api_accepts_counts_as_absent() -> None:
    assert prepared(target_cookie=f"PC#{'d' * 124}.35_0#{LATER}").request.id is None


def customer_ids(*ids: str) -> list[CustomerId]:
    return [CustomerId(id=one, integration_code="u" + one, authenticated_state="unknown") for one in ids]


def test_customer_ids_of_the_visitor_precede_those_of_the_request() -> None:
    request = DeliveryRequest(id=VisitorId(tnt_id="t", customer_ids=customer_ids("2")))
    result = prepared(request, visitor=Visitor(ORG, None, {"u1": "1"})).request

    assert result.id == VisitorId(tnt_id="t", customer_ids=customer_ids("1", "2"))


@pytest.mark.parametrize("given_ids", [{"u3": "3"}, customer_ids("3")], ids=["mapping", "list"])
def test_customer_ids_of_the_call_replace_those_of_the_visitor(given_ids: Any) -> None:
    request = DeliveryRequest(id=VisitorId(tnt_id="t", customer_ids=customer_ids("2")))
    visitor = Visitor(ORG, None, {"u1": "1"})
    result = prepared(request, visitor=visitor, customer_ids=given_ids).request

    assert result.id == VisitorId(tnt_id="t", customer_ids=customer_ids("3", "2"))
    assert visitor.get_state()[ORG]["customerIDs"] == {"u3": {"id": "3", "authState": 0}}


@pytest.mark.parametrize(
    ("given_ids", "path"),
    [
        ([CustomerId(id=5.5, integration_code="u")], "customer_ids[0].id"),
        ({"k": {"id": "1", "authState": 7}}, "customer_ids.k.authState"),
    ],
)
def test_wrong_customer_id_is_an_error_with_its_path(given_ids: Any, path: str) -> None:
    with pytest.raises(OptionError) as caught:
        prepared(customer_ids=given_ids)

    assert caught.value.path == path


@pytest.mark.parametrize("wire", [True, False], ids=["wire", "device"])
def test_customer_ids_without_another_id_are_sent(wire: bool) -> None:
    log = Log()
    request = DeliveryRequest(id=VisitorId(customer_ids=customer_ids("2")))
    result = prepared(request, customer_ids={"u1": "1"}, log=log, wire=wire)

    assert result.request.id.customer_ids == customer_ids("1", "2")
    assert log.lines == []


@pytest.mark.parametrize("other", ["tnt_id", "third_party_id", "marketing_cloud_visitor_id"])
def test_customer_ids_with_another_id_are_sent(other: str) -> None:
    log = Log()
    request = DeliveryRequest(id=VisitorId(**{other: "x"}))
    result = prepared(request, customer_ids={"u1": "1"}, log=log).request

    assert result.id.customer_ids == customer_ids("1")
    assert log.lines == []


# On device


def test_on_device_a_visitor_without_an_id_gets_a_tnt_id() -> None:
    assert prepared(wire=False).request.id == VisitorId(tnt_id="id2")


def test_generated_tnt_id_names_the_cluster() -> None:
    assert prepared(wire=False, sticky_cluster="28").request.id == VisitorId(tnt_id="id2.28_0")


@each_case("tnt_id", [".28_0", ".", "..28_0", ".a"])
def test_on_device_a_tnt_id_with_nothing_before_its_dot_counts_as_none(tnt_id: str) -> None:
    assert prepared(DeliveryRequest(id=VisitorId(tnt_id=tnt_id)), wire=False).request.id == VisitorId(
        tnt_id="id2"
    )
    known = DeliveryRequest(id=VisitorId(tnt_id=tnt_id, third_party_id="t"))
    assert prepared(known, wire=False).request.id == VisitorId(third_party_id="t")


def test_on_device_a_cookie_without_device_id_counts_as_none() -> None:
    result = prepared(wire=False, target_cookie="PC#.28_0#4000000000")
    assert result.request.id == VisitorId(tnt_id="id2.28_0")


def test_customer_ids_without_another_id_get_a_tnt_id_on_device() -> None:
    result = prepared(wire=False, customer_ids={"u1": "1"}).request

    assert result.id == VisitorId(tnt_id="id2", customer_ids=customer_ids("1"))


@pytest.mark.parametrize("known", ["tnt_id", "third_party_id", "marketing_cloud_visitor_id"])
def test_no_tnt_id_is_made_next_to_an_id_that_buckets(known: str) -> None:
    request = DeliveryRequest(id=VisitorId(**{known: "x"}))
    ensure_visitor_id(request, "28", lambda: "new")

    assert request.id == VisitorId(**{known: "x"})


def test_no_tnt_id_is_made_next_to_the_device_id_of_the_cookie() -> None:
    result = prepared(wire=False, target_cookie=f"PC#d#{LATER}").request

    assert result.id == VisitorId(tnt_id="d")


# Experience Cloud


def analytics_of(result: PreparedRequest) -> AnalyticsRequest:
    assert result.request.experience_cloud is not None
    assert result.request.experience_cloud.analytics is not None
    return result.request.experience_cloud.analytics


def with_analytics(**fields: Any) -> DeliveryRequest:
    return DeliveryRequest(experience_cloud=ExperienceCloud(analytics=AnalyticsRequest(**fields)))


def test_analytics_logging_defaults_to_server_side() -> None:
    assert analytics_of(prepared()) == AnalyticsRequest(logging="server_side")
    assert analytics_of(prepared(with_analytics(tracking_server="t"))) == AnalyticsRequest(
        logging="server_side", tracking_server="t"
    )
    assert analytics_of(prepared(with_analytics(logging="client_side"))).logging == "client_side"


class Counting(Visitor):
    """Visitor that records the consumers that SDIDs were requested for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[object] = []

    def get_supplemental_data_id(self, consumer_id: str | None = "not given") -> str:
        self.asked.append(consumer_id)
        return SDID


@pytest.mark.parametrize(
    ("consumer_id", "asked"), [(None, "target-global-mbox"), ("", "target-global-mbox"), ("first", "first")]
)
def test_sdid_of_the_consumer_is_requested_once(consumer_id: str | None, asked: str) -> None:
    visitor = Counting(ORG)
    result = prepared(visitor=visitor, consumer_id=consumer_id)

    assert analytics_of(result).supplemental_data_id == SDID
    assert visitor.asked == [asked]


def test_visitor_of_customer_ids_alone_sends_no_sdid() -> None:
    visitor = Counting(ORG, None, {"u1": "1"})
    result = prepared(visitor=visitor, wants_sdid=False, consumer_id="first")

    assert analytics_of(result).supplemental_data_id is None
    assert visitor.asked == []
    assert result.request.id.customer_ids == customer_ids("1")


def test_sdid_of_the_caller_is_kept_and_none_is_requested() -> None:
    visitor = Counting(ORG)
    own = "FEDCBA9876543210-FEDCBA9876543210"
    result = prepared(with_analytics(supplemental_data_id=own), visitor=visitor)

    assert analytics_of(result).supplemental_data_id == own
    assert visitor.asked == []


def test_sdid_of_the_caller_is_kept_without_a_visitor() -> None:
    assert analytics_of(prepared(with_analytics(supplemental_data_id=SDID))).supplemental_data_id == SDID


@each_case(
    "sdid", [SDID[:-1], SDID + "0", SDID.replace("-", "0"), "G" + SDID[1:], "-" + SDID[1:], "é" + SDID[1:]]
)
def test_wrong_sdid_raises_before_one_is_requested(sdid: str) -> None:
    with pytest.raises(OptionError) as caught:
        prepared(with_analytics(supplemental_data_id=sdid), visitor=(visitor := Counting(ORG)))

    assert caught.value.path == "request.experience_cloud.analytics.supplemental_data_id"
    assert visitor.asked == []


def test_error_is_raised_before_an_sdid_is_requested() -> None:
    visitor = Counting(ORG)
    with pytest.raises(OptionError):
        prepared(visitor=visitor, customer_ids={"k": 5.5})

    assert visitor.asked == []


PAIR = AudienceManager(location_hint=9, blob="blob")

AUDIENCE_MANAGERS = [
    ("visitor's pair", None, AMCV, PAIR),
    ("visitor's pair in place of an empty one", AudienceManager(), AMCV, PAIR),
    (
        "caller's pair",
        AudienceManager(location_hint=3, blob="b"),
        AMCV,
        AudienceManager(location_hint=3, blob="b"),
    ),
    ("caller's hint alone", AudienceManager(location_hint=3), AMCV, AudienceManager(location_hint=3)),
    ("caller's blob alone", AudienceManager(blob="b"), AMCV, AudienceManager(blob="b")),
    ("lowest region", None, "MCAAMLH|1|MCAAMB|b", AudienceManager(location_hint=1, blob="b")),
    ("visitor's region alone", None, "MCAAMLH|9", None),
    ("visitor's blob alone", None, "MCAAMB|b", None),
    ("region that is no number", None, "MCAAMLH|x|MCAAMB|b", None),
    ("region zero", None, "MCAAMLH|0|MCAAMB|b", None),
    ("blob too long", None, f"MCAAMLH|9|MCAAMB|{'b' * 1025}", None),
    ("no cookie", None, None, None),
    ("nothing in an empty one", AudienceManager(), None, None),
]


@each_case(
    "own, cookie, expected",
    [row[1:] for row in AUDIENCE_MANAGERS],
    ids=[row[0] for row in AUDIENCE_MANAGERS],
)
def test_audience_manager_is_of_the_caller_else_a_pair_of_the_visitor(
    own: AudienceManager | None, cookie: str | None, expected: AudienceManager | None
) -> None:
    request = DeliveryRequest(experience_cloud=ExperienceCloud(audience_manager=copy.deepcopy(own)))
    result = prepared(request, visitor=Visitor(ORG, cookie)).request

    assert result.experience_cloud.audience_manager == expected


class EmptyVisitor:
    """Foreign visitor without any values."""

    def get_visitor_values(self) -> Any:
        return None

    def get_state(self) -> Any:
        return None

    def get_supplemental_data_id(self, consumer_id: str) -> Any:
        return None


def test_visitor_without_values_changes_nothing() -> None:
    without = prepared().request

    assert prepared(visitor=EmptyVisitor()).request == without


def test_prepared_request_has_the_visitor() -> None:
    visitor = Visitor(ORG)

    assert prepared(visitor=visitor).visitor is visitor


# The whole


def rich_request() -> DeliveryRequest:
    return DeliveryRequest(
        id=VisitorId(third_party_id="t", customer_ids=customer_ids("2")),
        context=Context(channel="web"),
        experience_cloud=ExperienceCloud(analytics=AnalyticsRequest(tracking_server="t")),
        execute=ExecuteRequest(page_load=RequestDetails(), mboxes=mboxes("a", "", "b")),
        prefetch=PrefetchRequest(mboxes=mboxes("c"), views=[ViewRequest(name="v")]),
        notifications=[Notification(id="n", timestamp=1, type="click"), Notification(id="")],
    )


@pytest.mark.parametrize("wire", [True, False])
def test_callers_request_is_untouched(wire: bool) -> None:
    request = rich_request()
    before = copy.deepcopy(request)
    prepared(
        snapshot(request, wire=wire),
        wire=wire,
        target_cookie=f"session#s#{LATER}|PC#d.35_0#{LATER}",
        visitor=Visitor(ORG, AMCV),
        customer_ids={"u1": "1"},
        environment_id=5,
        property_token="p",
    )

    assert request == before


def test_one_request_serves_two_visitors() -> None:
    request = rich_request()
    first = prepared(snapshot(request, wire=True), target_cookie=f"PC#first#{LATER}")
    second = prepared(snapshot(request, wire=True), target_cookie=f"PC#second#{LATER}")

    assert (first.request.id.tnt_id, second.request.id.tnt_id) == ("first", "second")


@settings(deadline=None, max_examples=examples(50))
@given(cookie=st.text(alphabet=st.characters()), hint=st.text(alphabet=st.characters(), max_size=8))
def test_no_input_of_a_visitor_raises(cookie: str, hint: str) -> None:
    result = prepared(target_cookie=cookie, target_location_hint=hint, visitor=Visitor(ORG, cookie))

    assert result.cluster is None or result.cluster.isalnum()
    assert result.session_id
