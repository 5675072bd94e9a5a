"""Classes that the official package exports because its generator made them; nothing needs them."""

from __future__ import annotations

from .base import Model
from .constraint import Int32, Text128, Text512
from .notification import (
    NotificationId,
    NotificationMbox,
    NotificationPageLoad,
    NotificationType,
    NotificationView,
    Timestamp,
)


class MboxRequestAllOf(Model):
    index: Int32 | None = None
    name: str | None = None


class ViewRequestAllOf(Model):
    name: Text128 | None = None
    key: Text512 | None = None


class NotificationAllOf(Model):
    id: NotificationId | None = None
    impression_id: Text128 | None = None
    type: NotificationType | None = None
    timestamp: Timestamp | None = None
    tokens: list[str] | None = None
    mbox: NotificationMbox | None = None
    view: NotificationView | None = None
    page_load: NotificationPageLoad | None = None


class PrefetchMboxResponseAllOf(Model):
    state: str | None = None
