"""Official import path of `NotificationView`."""

from targetry.models import NotificationView as NotificationView
