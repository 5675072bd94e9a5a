"""Official import path of `MetricType`."""

from targetry.models import MetricType as MetricType
