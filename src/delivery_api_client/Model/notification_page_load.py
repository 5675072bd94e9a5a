"""The official place of `NotificationPageLoad`."""

from targetry.models import NotificationPageLoad as NotificationPageLoad
