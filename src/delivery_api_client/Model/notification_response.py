"""Official import path of `NotificationResponse`."""

from targetry.models import NotificationResponse as NotificationResponse
