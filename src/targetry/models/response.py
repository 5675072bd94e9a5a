"""`DeliveryResponse` and its parts, from the Delivery API or the device engine.

A server can be newer than this library, so unknown keys and enum values are accepted, limits are
not checked, and an integer sent as text, or the reverse, is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from targetry.models.base import Model
from targetry.models.enums import ResponseMetricType, ResponseOptionType
from targetry.models.scalars import ReadMode
from targetry.models.visitor import VisitorId

TraceDocument = dict[str, Any]


class ResponseModel(Model):
    """Model of a response."""

    _read_mode: ClassVar[ReadMode] = ReadMode(casts=True)
    _is_response: ClassVar[bool] = True


class AnalyticsPayload(ResponseModel):
    """Payload to forward to Analytics as it is; `tnta` names activity and experience."""

    pe: str | None = None
    tnta: str | None = None


class AnalyticsResponse(ResponseModel):
    """Hit for Adobe Analytics."""

    payload: AnalyticsPayload | None = None


class Action(ResponseModel):
    """Action on an element of the page. `content` is any JSON."""

    type: str | None = None
    selector: str | None = None
    css_selector: str | None = None
    content: Annotated[Any, Meta(extra={"type": "OneOfstringobject"})] = None


class Option(ResponseModel):
    """Offer. `content` is HTML, a URL, any JSON, or for the type actions a list of dicts.

    `event_token` comes with prefetched options only, and goes back in a notification.
    """

    type: ResponseOptionType | None = None
    content: Annotated[Any, Meta(extra={"type": "OneOfstringobjectarray"})] = None
    event_token: str | None = None
    response_tokens: dict[str, Any] | None = None


def merged_content(options: Sequence[Option] | None, absent: Any) -> Any:
    """Return the content of a location's options, `absent` if there is none (default content).

    Of several JSON objects the later keys win; of several others the first counts.
    """
    if not options:
        return absent
    if len(options) == 1:
        return options[0].content
    objects = [option.content for option in options if isinstance(option.content, dict)]
    if not objects:
        return options[0].content
    return {name: value for content in objects for name, value in content.items()}


class Metric(ResponseModel):
    """Metric of a location, such as a click."""

    type: ResponseMetricType | None = None
    selector: str | None = None
    event_token: str | None = None
    analytics: AnalyticsResponse | None = None


class PageLoadResponse(ResponseModel):
    """Offers of the page load."""

    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    state: str | None = None
    trace: TraceDocument | None = None


class BaseMboxResponse(ResponseModel):
    """Common fields of mboxes; a base class, so that no mbox is an instance of the other class."""

    index: int | None = None
    name: str | None = None
    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    trace: TraceDocument | None = None


class MboxResponse(BaseMboxResponse):
    """Offers of an executed mbox."""


class PrefetchMboxResponse(BaseMboxResponse):
    """Prefetched mbox. `state` goes back in its notification."""

    state: str | None = None


class View(ResponseModel):
    """View. `state` goes back in its notification."""

    name: str | None = None
    key: str | None = None
    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    state: str | None = None
    trace: TraceDocument | None = None


class ExecuteResponse(ResponseModel):
    """Executed locations."""

    page_load: PageLoadResponse | None = None
    mboxes: list[MboxResponse] | None = None


class PrefetchResponse(ResponseModel):
    """Prefetched locations. `metrics` are click metrics that belong to no view."""

    views: list[View] | None = None
    page_load: PageLoadResponse | None = None
    mboxes: list[PrefetchMboxResponse] | None = None
    metrics: list[Metric] | None = None


class NotificationResponse(ResponseModel):
    """Confirmation that the notification with this id was processed."""

    id: str | None = None
    trace: TraceDocument | None = None


class DeliveryResponse(ResponseModel):
    """Response of the Delivery API, or of the device engine.

    `client` is the client code, `edge_host` the host for later requests of this visitor.
    """

    status: int | None = None
    request_id: str | None = None
    id: VisitorId | None = None
    client: str | None = None
    edge_host: str | None = None
    execute: ExecuteResponse | None = None
    prefetch: PrefetchResponse | None = None
    notifications: list[NotificationResponse] | None = None
    telemetry_server_token: str | None = None


class UnexpectedError(ResponseModel):
    """Body of a response with an error status."""

    status: int | None = None
    message: str | None = None
