"""Official import path of `AnalyticsPayload`."""

from targetry.models import AnalyticsPayload as AnalyticsPayload
