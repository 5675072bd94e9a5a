"""Prometheus histogram of durations that takes many observations at once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import HistogramMetricFamily, Metric

_CREATED: Final = "_created"
_INFINITE: Final = "+Inf"


class DurationHistogram:
    """Histogram of durations in seconds, by one label.

    A `prometheus_client.Histogram` takes one observation at a time, with two locks, and with two
    writes to a file if worker processes share their metrics. This collector counts in two counters
    of that library, by bucket and of the sums, and is exposed as a histogram.
    """

    def __init__(
        self, name: str, text: str, label: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name, self._text, self._label = name, text, label
        self._bounds = bounds
        self._names = [*map(str, bounds), _INFINITE]
        self._counts = Counter(f"{name}_in_bucket", text, (label, "le"), registry=None)
        self._sums = Counter(f"{name}_together", text, (label,), registry=None)
        registry.register(self)

    def observe(self, label: str, durations: Sequence[float]) -> None:
        """Add durations, in seconds."""
        ordered, counted, bucket = sorted(durations), 0, 0
        while counted < len(ordered):
            bucket = bisect_left(self._bounds, ordered[counted], bucket)
            bound = self._bounds[bucket] if bucket < len(self._bounds) else inf
            count = bisect_right(ordered, bound, counted) - counted
            self._counts.labels(label, self._names[bucket]).inc(count)
            counted += count
        self._sums.labels(label).inc(sum(durations))

    def collect(self) -> Iterable[Metric]:
        """Return the histogram of this process."""
        return self.assemble([*self._counts.collect(), *self._sums.collect()])

    def assemble(self, metrics: Iterable[Metric]) -> Iterator[Metric]:
        """Yield metrics, and in place of the histogram's two counters the histogram."""
        counts: dict[str, dict[str, float]] = defaultdict(dict)
        sums: dict[str, float] = {}
        created: dict[str, float] = {}
        for metric in metrics:
            if metric.name == f"{self._name}_in_bucket":
                for sample in metric.samples:
                    if not sample.name.endswith(_CREATED):
                        counts[sample.labels[self._label]][sample.labels["le"]] = sample.value
            elif metric.name == f"{self._name}_together":
                for sample in metric.samples:
                    kind = created if sample.name.endswith(_CREATED) else sums
                    kind[sample.labels[self._label]] = sample.value
            else:
                yield metric
        yield self._family(counts, sums, created)

    def _family(
        self, counts: dict[str, dict[str, float]], sums: dict[str, float], created: dict[str, float]
    ) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self._name, self._text, labels=(self._label,))
        for label, of_label in counts.items():
            totals = accumulate(of_label.get(name, 0.0) for name in self._names)
            family.add_metric((label,), list(zip(self._names, totals, strict=True)), sums.get(label, 0.0))
            if label in created:
                family.add_sample(self._name + _CREATED, {self._label: label}, created[label])
        return family
