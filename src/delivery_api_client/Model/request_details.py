"""Official import path of `RequestDetails`."""

from targetry.models import RequestDetails as RequestDetails
