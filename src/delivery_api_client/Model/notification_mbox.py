"""Official import path of `NotificationMbox`."""

from targetry.models import NotificationMbox as NotificationMbox
