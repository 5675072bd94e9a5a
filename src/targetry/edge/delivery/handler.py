"""`POST /rest/v1/delivery` as a function from query and body to status, body and events.

The on-device engine decides, so a visitor gets the same experience at the edge and on device. Two
differences: the status is always 200, with a location without rules answered without content,
because there is no remote service; and tokens in `notifications` are mapped to their experiences.

A visitor without an id gets a tnt id. The id has a cluster (`<uuid>.<cluster>_0`) and the response
an `edgeHost` only if the edge was configured with a cluster: an SDK sends the visitor's next
requests to `mboxedge<cluster>.tt.omtrdc.net`, which is a host of Adobe. A visitor with another id
gets no tnt id, because allocation would use it from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from targetry.delivery.prepare import ensure_visitor_id
from targetry.device.decide import decide
from targetry.device.encoded_mboxes import EncodedMboxes
from targetry.device.logic.facts import RuleFailure
from targetry.device.qa_mode import rules_for
from targetry.device.remote import NOTHING_REMOTE
from targetry.device.trace import TraceSource
from targetry.edge.artifacts.registry import RESPONSE_TOKENS, ArtifactRegistry, LoadedArtifact
from targetry.edge.artifacts.workload import MAX_ANSWER_BYTES, Workload, check_workload, encode_bounded
from targetry.edge.delivery.events import delivery_events
from targetry.edge.delivery.request_parsing import DeliveryQuery, parse_body, parse_query
from targetry.edge.delivery.segments import SegmentReader
from targetry.edge.http.errors import RequestRejected, error_body
from targetry.geo.location import GeoLocation
from targetry.geo.lookup import merge, needs_lookup
from targetry.ledger.event import LedgerEvent
from targetry.models import DeliveryRequest, DeliveryResponse, Geo, NotificationResponse

AddressLocator = Callable[[str], GeoLocation | None]
"""Function that returns the location of an IP address, None if it is unknown. It must not raise."""

_encode = msgspec.json.Encoder().encode


class DeliveryResult(msgspec.Struct, frozen=True, gc=False):
    """Response to a delivery request, the events to record before it is sent, and diagnostics.

    `notifications` and `telemetry` are counts; `problems` are rules that could not be evaluated.
    `request` is the request as it was decided, with generated ids and geo location, by the rules of
    `artifact`. `ignored_fields` are paths of fields and names of headers with invalid values.
    """

    status: int
    body: bytes = b""
    events: Sequence[LedgerEvent] = ()
    notifications: int = 0
    telemetry: int = 0
    problems: Sequence[RuleFailure] = ()
    request: DeliveryRequest | None = None
    artifact: LoadedArtifact | None = None
    ignored_fields: tuple[str, ...] = ()


class ParsedRequest(msgspec.Struct, frozen=True, gc=False):
    """Valid request, the artifact that decides it, and an upper bound of its cost."""

    query: DeliveryQuery
    artifact: LoadedArtifact
    request: DeliveryRequest
    workload: Workload
    ignored_fields: tuple[str, ...]


def parse_request(body: bytes, query: str, registry: ArtifactRegistry) -> ParsedRequest | DeliveryResult:
    """Parse and check a request. Never raises.

    Returns:
        The request, or an error response if it is invalid or exceeds a limit.
    """
    try:
        parsed = parse_query(query)
        artifact = registry.for_query(parsed.client, parsed.organization_id)
        content = parse_body(body)
        workload = check_workload(content.request, artifact.rules, artifact.costs)
        return ParsedRequest(parsed, artifact, content.request, workload, content.ignored)
    except RequestRejected as rejected:
        return _rejection(rejected)


def respond(
    parsed: ParsedRequest,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    cluster: str | None = None,
    locate: AddressLocator | None = None,
    address: str | None = None,
    is_recorded: bool = True,
    segments: SegmentReader | None = None,
) -> DeliveryResult:
    """Decide a request. Never raises.

    Args:
        parsed: The request.
        now_ms: Time for time rules and impressions, in epoch milliseconds.
        new_id: Generates request ids and visitor ids.
        cluster: Cluster of tnt ids and `edgeHost`.
        locate: Returns the location of an IP address.
        address: IP address of the client, used if the request has no `context.geo`.
        is_recorded: Whether the result has events.
        segments: Reads the facts of impressions.
    """
    query, artifact, request = parsed.query, parsed.artifact, parsed.request
    request.request_id = request.request_id or new_id()
    ensure_visitor_id(request, cluster, new_id)
    if locate is not None:
        add_location(request, artifact, locate, address, segments)
    decision = decide(
        artifact.rules if request.qa_mode is None else rules_for(artifact.rules, request),
        request,
        client_code=artifact.client,
        now_ms=now_ms,
        new_id=new_id,
        trace=_trace(artifact, query) if request.trace is not None else None,
        encoded=artifact.encoded if request.qa_mode is None else EncodedMboxes(RESPONSE_TOKENS),
        remote=NOTHING_REMOTE,
        is_reported=is_recorded,
    )
    response = decision.response
    if cluster:
        response.edge_host = f"mboxedge{cluster}.tt.omtrdc.net"
    if request.notifications:
        response.notifications = [NotificationResponse(one.id) for one in request.notifications]
    try:
        if parsed.workload.answer_bytes > MAX_ANSWER_BYTES:
            encode_bounded(_encodable_parts(response), _encode)
    except RequestRejected as rejected:
        return _rejection(rejected)
    events: Sequence[LedgerEvent] = ()
    if is_recorded and request.qa_mode is None:
        events = delivery_events(
            request,
            decision.impressions,
            artifact,
            session_id=query.session_id,
            now_ms=now_ms,
            segments=segments,
        )
    is_beacon = request.context is not None and request.context.beacon is True
    telemetry = request.telemetry
    return DeliveryResult(
        204 if is_beacon else 200,
        b"" if is_beacon else _encode(response),
        events,
        len(request.notifications) if request.notifications else 0,
        len(telemetry.entries) if telemetry is not None and telemetry.entries else 0,
        decision.failures,
        request,
        artifact,
        parsed.ignored_fields,
    )


def _rejection(rejected: RequestRejected) -> DeliveryResult:
    return DeliveryResult(rejected.status, error_body(rejected.status, rejected.message))


def add_location(
    request: DeliveryRequest,
    artifact: LoadedArtifact,
    locate: AddressLocator,
    address: str | None,
    segments: SegmentReader | None = None,
) -> None:
    """Look the location up if it is used and the request has no more than an IP address.

    Rules use it, or segments that are recorded.
    """
    context = request.context
    if context is None:
        return
    geo = context.geo if context.geo is not None else Geo(ip_address=address)
    is_recorded = segments is not None and segments.needs_location
    unknown = needs_lookup(geo, artifact.rules.geo_targeting_enabled or is_recorded)
    if unknown is None:
        return
    location = locate(unknown)
    if context.geo is not None or location is not None:
        context.geo = merge(geo, location)


def _trace(artifact: LoadedArtifact, query: DeliveryQuery) -> TraceSource:
    source = {"artifactLocation": artifact.name, "artifactVersion": artifact.rules.version}
    return TraceSource(query.session_id, artifact.client, source)


def _encodable_parts(response: DeliveryResponse) -> Iterator[object]:
    """Yield the parts of a response whose size is not bounded by the request's."""
    for mode in (response.execute, response.prefetch):
        if mode is not None:
            yield from mode.mboxes or ()
            yield mode.page_load
    if response.prefetch is not None:
        yield from response.prefetch.views or ()
