"""What was displayed or clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from targetry.models.accepted import ABSENT, Id128, Id200, Timestamp
from targetry.models.base import Model
from targetry.models.constraint import Text128, Text250, Text512
from targetry.models.details import Details
from targetry.models.enums import MetricTypeValue

if TYPE_CHECKING:
    NotificationType = MetricTypeValue
else:
    # A notification of another type is ignored when the request is prepared, and does not fail the
    # request.
    NotificationType = Annotated[str, Meta(extra={"type": "MetricType"})]


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

    `timestamp` may be any real number, rounded to whole milliseconds, or a datetime, which is in
    local time where it names no zone.

    The answer names the ids that were processed. The same `impression_id` as that of a request or
    another notification counts no second impression.
    """

    id: Id200 = ABSENT
    impression_id: Id128 = ABSENT
    type: NotificationType | None = None
    timestamp: Timestamp = ABSENT
    tokens: list[str] | None = None
    mbox: NotificationMbox | None = None
    view: NotificationView | None = None
    page_load: NotificationPageLoad | None = None
