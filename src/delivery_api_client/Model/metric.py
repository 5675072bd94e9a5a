"""Official import path of `Metric`."""

from targetry.models import Metric as Metric
