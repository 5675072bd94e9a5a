"""The official place of `AnalyticsRequest`."""

from targetry.models import AnalyticsRequest as AnalyticsRequest
