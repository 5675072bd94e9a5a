"""Notifications of displays and clicks."""

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
    """Mbox of a notification."""

    name: Text250 | None = None
    state: str | None = None


class NotificationView(Model):
    """View of a notification."""

    name: Text128 | None = None
    key: Text512 | None = None
    state: str | None = None


class NotificationPageLoad(Model):
    """Page load of a notification."""

    state: str | None = None


class Notification(Details):
    """Display or click. `id`, `type` and `timestamp` are required.

    `timestamp` is in epoch milliseconds: any real number, rounded to whole milliseconds, or a
    datetime, which is in local time if it names no zone. `mbox` and `view` exclude each other.

    The response has the ids that were processed. An `impression_id` equal to that of a request or
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
