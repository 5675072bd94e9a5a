"""The official place of `VisitorId`."""

from targetry.models import VisitorId as VisitorId
