"""The official place of `AnalyticsPayload`."""

from targetry.models import AnalyticsPayload as AnalyticsPayload
