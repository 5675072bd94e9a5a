"""The official place of `NotificationResponse`."""

from targetry.models import NotificationResponse as NotificationResponse
