"""Official import path of `NotificationPageLoad`."""

from targetry.models import NotificationPageLoad as NotificationPageLoad
