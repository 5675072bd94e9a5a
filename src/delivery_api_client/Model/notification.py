"""Official import path of `Notification`."""

from targetry.models import Notification as Notification
