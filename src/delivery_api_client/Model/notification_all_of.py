"""The official place of `NotificationAllOf`."""

from targetry.models import NotificationAllOf as NotificationAllOf
