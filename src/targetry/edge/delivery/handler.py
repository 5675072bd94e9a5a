"""`POST /rest/v1/delivery` as a function: query and body in; status, body and what is to be recorded out.

The same engine decides that decides on device, so a visitor has the same experience wherever he is decided. What is
different from a decision on device: there is nobody further away to ask, so the status is always 200 and a location
without rules is answered without content; and tokens in `notifications` are traced back to their experiences.

A visitor without an id gets a tnt id. It carries a cluster (`<uuid>.<cluster>_0`), and the answer an `edgeHost`, only where the edge was given
one: an SDK sends the visitor's next requests to `mboxedge<cluster>.tt.omtrdc.net`, which is Adobe's and not here (spec/delivery.md
§3 and §5, D-27). A visitor who is known by another id gets no tnt id, since from then on it would be the one that he is
bucketed by (spec/decisioning.md §6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from targetry.delivery.prepare import ensure_visitor_id
from targetry.device.decide import Decision, decide
from targetry.device.logic.facts import RuleFailure
from targetry.device.trace import TraceSource
from targetry.edge.artifacts.registry import ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import MAX_ANSWER_BYTES, Workload, check_workload, encode_bounded
from targetry.edge.delivery.events import delivery_events
from targetry.edge.delivery.qa_mode import rules_for
from targetry.edge.delivery.request_parsing import DeliveryQuery, parse_body, parse_query
from targetry.edge.http.errors import RequestRejected, error_body
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import merge, needs_lookup
from targetry.ledger.event import Event
from targetry.models import DeliveryRequest, DeliveryResponse, Geo, NotificationResponse, Option

AddressLocator = Callable[[str], GeoLocation | None]
"""The place of an IP address; None when it is not known. Must not raise."""

_METHOD_TOKEN: Final = "activity.decisioningMethod"
_SERVER_SIDE: Final = "server-side"

_encode = msgspec.json.Encoder().encode


class DeliveryResult(msgspec.Struct, frozen=True):
    """What to answer, what to record first, and what to tell the operator.

    `notifications` and `telemetry` are counts, `problems` the rules that could not be evaluated. `request` is the one that was
    decided, with what was found out about it, by the rules of `served`. `unread` are the paths of its fields, and names of headers,
    whose values are in a form that is not understood.
    """

    status: int
    body: bytes = b""
    events: Sequence[Event] = ()
    notifications: int = 0
    telemetry: int = 0
    problems: Sequence[RuleFailure] = ()
    request: DeliveryRequest | None = None
    served: LoadedArtifact | None = None
    unread: tuple[str, ...] = ()


class ParsedRequest(NamedTuple):
    """A request that was checked, with the artifact that decides it and an upper bound of its cost."""

    query: DeliveryQuery
    served: LoadedArtifact
    request: DeliveryRequest
    workload: Workload
    unread: tuple[str, ...]


def deliver(
    body: bytes,
    query: str,
    *,
    registry: ArtifactRegistry,
    now_ms: int,
    new_id: Callable[[], str],
    cluster: str | None = None,
    locate: AddressLocator | None = None,
    address: str | None = None,
    is_recorded: bool = True,
) -> DeliveryResult:
    """Parse and answer one request; a wrong one is answered with its refusal. Never raises.

    The arguments are those of `parse_request` and `respond`.
    """
    parsed = parse_request(body, query, registry)
    if isinstance(parsed, DeliveryResult):
        return parsed
    return respond(
        parsed,
        now_ms=now_ms,
        new_id=new_id,
        cluster=cluster,
        locate=locate,
        address=address,
        is_recorded=is_recorded,
    )


def parse_request(body: bytes, query: str, registry: ArtifactRegistry) -> ParsedRequest | DeliveryResult:
    """Parse and check a request. Return its refusal where it is wrong or would cost too much; never raises."""
    try:
        asked = parse_query(query)
        served = registry.for_query(asked.client, asked.organization_id)
        request, unread = parse_body(body)
        workload = check_workload(request, served.rules, served.costs)
        return ParsedRequest(asked, served, request, workload, unread)
    except RequestRejected as refused:
        return _refusal(refused)


def respond(
    parsed: ParsedRequest,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    cluster: str | None = None,
    locate: AddressLocator | None = None,
    address: str | None = None,
    is_recorded: bool = True,
) -> DeliveryResult:
    """Decide a request and return what to answer. Never raises.

    Args:
        parsed: the request.
        now_ms: the clock of time rules and impressions, in milliseconds since the epoch.
        new_id: makes request ids and visitor ids.
        cluster: the cluster of tnt ids and `edgeHost`.
        locate: looks up the place of an IP address.
        address: the IP address of the client; its place is the visitor's where the request gives none.
        is_recorded: whether events are kept; without, the answer has none.
    """
    asked, served, request, workload, unread = parsed
    request.request_id = request.request_id or new_id()
    ensure_visitor_id(request, cluster, new_id)
    if locate is not None:
        _add_location(request, served, locate, address)
    decision = decide(
        rules_for(served, request),
        request,
        client_code=served.client,
        now_ms=now_ms,
        new_id=new_id,
        trace=_trace(served, asked) if request.trace is not None else None,
    )
    response = decision.response
    _finish(response, request, cluster)
    try:
        if workload.answer_bytes > MAX_ANSWER_BYTES:
            encode_bounded(_parts(response), _encode)
    except RequestRejected as refused:
        return _refusal(refused)
    events: Sequence[Event] = ()
    if is_recorded and request.qa_mode is None:
        events = delivery_events(request, decision, served, session_id=asked.session_id, now_ms=now_ms)
    return _answer(request, response, decision, events, served, unread)


def _refusal(refused: RequestRejected) -> DeliveryResult:
    return DeliveryResult(refused.status, error_body(refused.status, refused.message))


def _add_location(
    request: DeliveryRequest, served: LoadedArtifact, locate: AddressLocator, address: str | None
) -> None:
    """Where the rules ask for a place and no more than an IP address is given, look it up (spec/decisioning.md §3)."""
    context = request.context
    if context is None:
        return
    geo = context.geo if context.geo is not None else Geo(ip_address=address)
    asked = needs_lookup(geo, served.rules.geo_targeting_enabled)
    if asked is None:
        return
    place = locate(asked)
    if context.geo is not None or place is not None:
        context.geo = merge(geo, place)


def _trace(served: LoadedArtifact, asked: DeliveryQuery) -> TraceSource:
    artifact = {"artifactLocation": served.name, "artifactVersion": served.rules.version}
    return TraceSource(asked.session_id, served.client, artifact)


def _finish(response: DeliveryResponse, request: DeliveryRequest, cluster: str | None) -> None:
    response.status = 200
    response.edge_host = f"mboxedge{cluster}.tt.omtrdc.net" if cluster else None
    if request.notifications:
        response.notifications = [NotificationResponse(one.id) for one in request.notifications]
    for option in _options(response):
        if option.response_tokens is not None:
            option.response_tokens[_METHOD_TOKEN] = _SERVER_SIDE


def _parts(response: DeliveryResponse) -> Iterator[object]:
    """What a large answer consists of."""
    for mode in (response.execute, response.prefetch):
        if mode is not None:
            yield from mode.mboxes or ()
            yield mode.page_load
    if response.prefetch is not None:
        yield from response.prefetch.views or ()


def _options(response: DeliveryResponse) -> Iterator[Option]:
    """All options; each has its own response tokens."""
    for mode in (response.execute, response.prefetch):
        if mode is not None:
            yield from (option for mbox in mode.mboxes or () for option in mbox.options or ())
            if mode.page_load is not None:
                yield from mode.page_load.options or ()
    if response.prefetch is not None:
        yield from (option for view in response.prefetch.views or () for option in view.options or ())


def _answer(
    request: DeliveryRequest,
    response: DeliveryResponse,
    decision: Decision,
    events: Sequence[Event],
    served: LoadedArtifact,
    unread: tuple[str, ...],
) -> DeliveryResult:
    is_beacon = request.context is not None and request.context.beacon is True
    entries = request.telemetry.entries if request.telemetry is not None else None
    return DeliveryResult(
        204 if is_beacon else 200,
        b"" if is_beacon else _encode(response),
        events,
        len(request.notifications or ()),
        len(entries or ()),
        decision.failures,
        request,
        served,
        unread,
    )
