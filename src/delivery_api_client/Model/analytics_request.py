"""Official import path of `AnalyticsRequest`."""

from targetry.models import AnalyticsRequest as AnalyticsRequest
