"""The official place of `AnalyticsResponse`."""

from targetry.models import AnalyticsResponse as AnalyticsResponse
