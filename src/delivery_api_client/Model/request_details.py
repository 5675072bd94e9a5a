"""The official place of `RequestDetails`."""

from targetry.models import RequestDetails as RequestDetails
