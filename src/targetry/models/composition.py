"""Classes that the official package exports because its generator made them; nothing needs them."""

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
    index: Integer32 = ABSENT
    name: str | None = None


class ViewRequestAllOf(Model):
    name: Text128 | None = None
    key: Text512 | None = None


class NotificationAllOf(Model):
    id: Id200 = ABSENT
    impression_id: Id128 = ABSENT
    type: NotificationType | None = None
    timestamp: Timestamp = ABSENT
    tokens: list[str] | None = None
    mbox: NotificationMbox | None = None
    view: NotificationView | None = None
    page_load: NotificationPageLoad | None = None


class PrefetchMboxResponseAllOf(Model):
    state: str | None = None
