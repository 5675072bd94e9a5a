"""The official place of `NotificationMbox`."""

from targetry.models import NotificationMbox as NotificationMbox
