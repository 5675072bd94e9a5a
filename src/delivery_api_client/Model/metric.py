"""The official place of `Metric`."""

from targetry.models import Metric as Metric
