"""Official import path of `AnalyticsResponse`."""

from targetry.models import AnalyticsResponse as AnalyticsResponse
