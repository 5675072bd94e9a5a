"""`DeliveryResponse`: what the Delivery API answers, or what was decided on device.

A server may be newer than this library, so keys and enum values that are not known here are no
error, no limit is checked, and an integer sent as text, or the other way round, is converted
(spec/models.md §1, "parsing").
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
    """A model that a server fills."""

    _read_mode: ClassVar[ReadMode] = ReadMode(casts=True)
    _is_response: ClassVar[bool] = True


class AnalyticsPayload(ResponseModel):
    """`tnta` names activity and experience; it is to be forwarded to Analytics as it is."""

    pe: str | None = None
    tnta: str | None = None


class AnalyticsResponse(ResponseModel):
    payload: AnalyticsPayload | None = None


class Action(ResponseModel):
    """`content` is any JSON."""

    type: str | None = None
    selector: str | None = None
    css_selector: str | None = None
    content: Annotated[Any, Meta(extra={"type": "OneOfstringobject"})] = None


class Option(ResponseModel):
    """`content` is any JSON: HTML, a URL, or for the type actions a list of dicts.

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
    type: ResponseMetricType | None = None
    selector: str | None = None
    event_token: str | None = None
    analytics: AnalyticsResponse | None = None


class PageLoadResponse(ResponseModel):
    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    state: str | None = None
    trace: TraceDocument | None = None


class BaseMboxResponse(ResponseModel):
    """The common part of mboxes; never used by itself, so that neither is an instance of the other."""

    index: int | None = None
    name: str | None = None
    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    trace: TraceDocument | None = None


class MboxResponse(BaseMboxResponse):
    pass


class PrefetchMboxResponse(BaseMboxResponse):
    """`state` goes back in the notification of the mbox."""

    state: str | None = None


class View(ResponseModel):
    """`state` goes back in the notification of the view."""

    name: str | None = None
    key: str | None = None
    options: list[Option] | None = None
    metrics: list[Metric] | None = None
    analytics: AnalyticsResponse | None = None
    state: str | None = None
    trace: TraceDocument | None = None


class ExecuteResponse(ResponseModel):
    page_load: PageLoadResponse | None = None
    mboxes: list[MboxResponse] | None = None


class PrefetchResponse(ResponseModel):
    """`metrics` are click metrics that belong to no view."""

    views: list[View] | None = None
    page_load: PageLoadResponse | None = None
    mboxes: list[PrefetchMboxResponse] | None = None
    metrics: list[Metric] | None = None


class NotificationResponse(ResponseModel):
    """That the notification with this id was processed."""

    id: str | None = None
    trace: TraceDocument | None = None


class DeliveryResponse(ResponseModel):
    """`client` is the client code, `edge_host` the host that later requests of this visitor should go to."""

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
    """The body of an answer with an error's status."""

    status: int | None = None
    message: str | None = None
