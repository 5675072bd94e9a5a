"""Reports in notebooks, read by mypy and pyright only: an ignore marks what must fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from targetry.report import (
    ActivityReport,
    ExperienceReport,
    Guardrail,
    Interval,
    LoadedReport,
    Look,
    MetricLift,
    ReportOptions,
    SampleRatio,
    load,
)

report = load("postgresql://user@host/shop")
assert_type(report, LoadedReport)
load(Path("ledger"), ReportOptions(planned=60_000, guardrails=(Guardrail("revenue", 0.02),)))
load(7)  # type: ignore[arg-type]
ReportOptions(planned="60000")  # type: ignore[arg-type]

activity = report.activity("482910")
assert_type(activity, ActivityReport)
assert_type(report.activities, tuple[ActivityReport, ...])
assert_type(activity.sample_ratio, SampleRatio | None)
best = activity.experience("Autumn sale")
assert_type(best, ExperienceReport)
assert_type(best.verdict, str | None)
metric = best.metrics["revenue"]
assert_type(metric.interval, Interval)
assert_type(metric.lift, MetricLift | None)
for look in metric.over_time or ():
    assert_type(look, Look)
assert_type(report.to_dict(), dict[str, Any])
report.metric = "revenue"  # type: ignore[misc]
best.metrics["revenue"] = metric  # type: ignore[index]
