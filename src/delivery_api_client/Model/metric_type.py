"""The official place of `MetricType`."""

from targetry.models import MetricType as MetricType
