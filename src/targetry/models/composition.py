"""Classes that the generator of the official package made, and that nothing needs."""

from __future__ import annotations

from targetry.models.accepted import ABSENT, Id128, Id200, Integer32, Timestamp
from targetry.models.base import Model
from targetry.models.constraint import Text128, Text512
from targetry.models.notification import (
    NotificationMbox,
    NotificationPageLoad,
    NotificationType,
    NotificationView,
)


class MboxRequestAllOf(Model):
    """Fields that `MboxRequest` adds to the common ones."""

    index: Integer32 = ABSENT
    name: str | None = None


class ViewRequestAllOf(Model):
    """Fields that `ViewRequest` adds to the common ones."""

    name: Text128 | None = None
    key: Text512 | None = None


class NotificationAllOf(Model):
    """Fields that `Notification` adds to the common ones."""

    id: Id200 = ABSENT
    impression_id: Id128 = ABSENT
    type: NotificationType | None = None
    timestamp: Timestamp = ABSENT
    tokens: list[str] | None = None
    mbox: NotificationMbox | None = None
    view: NotificationView | None = None
    page_load: NotificationPageLoad | None = None


class PrefetchMboxResponseAllOf(Model):
    """Field that `PrefetchMboxResponse` adds to those of `MboxResponse`."""

    state: str | None = None
