"""Official import path of `NotificationAllOf`."""

from targetry.models import NotificationAllOf as NotificationAllOf
