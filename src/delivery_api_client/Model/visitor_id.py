"""Official import path of `VisitorId`."""

from targetry.models import VisitorId as VisitorId
