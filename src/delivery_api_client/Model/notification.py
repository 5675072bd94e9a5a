"""The official place of `Notification`."""

from targetry.models import Notification as Notification
