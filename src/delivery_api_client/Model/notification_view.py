"""The official place of `NotificationView`."""

from targetry.models import NotificationView as NotificationView
