"""What was displayed or clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from .base import Model
from .constraint import Number, Text128, Text250, Text512
from .details import Details
from .enums import MetricTypeValue

if TYPE_CHECKING:
    NotificationId = str
    NotificationType = MetricTypeValue
    Timestamp = int
else:
    # A notification with a wrong one of these is dropped and logged when the request is prepared, and does not
    # fail the request; so scalars of any type are let through, and anything else as None.
    NotificationId = Annotated[
        Annotated[str, Meta(max_length=200)] | int | Number | bool | None,
        Meta(extra={"type": "str", "loose": True}),
    ]
    NotificationType = Annotated[
        str | int | Number | bool | None, Meta(extra={"type": "MetricType", "loose": True})
    ]
    Timestamp = Annotated[str | int | Number | bool | None, Meta(extra={"type": "int", "loose": True})]


class NotificationMbox(Model):
    name: Text250 | None = None
    state: str | None = None


class NotificationView(Model):
    name: Text128 | None = None
    key: Text512 | None = None
    state: str | None = None


class NotificationPageLoad(Model):
    state: str | None = None


class Notification(Details):
    """`id`, `type` and `timestamp` (epoch milliseconds) are required. `mbox` and `view` exclude each other.

    The answer names the ids that were processed. The same `impression_id` as that of a request or another
    notification counts no second impression.
    """

    id: NotificationId | None = None
    impression_id: Text128 | None = None
    type: NotificationType | None = None
    timestamp: Timestamp | None = None
    tokens: list[str] | None = None
    mbox: NotificationMbox | None = None
    view: NotificationView | None = None
    page_load: NotificationPageLoad | None = None
