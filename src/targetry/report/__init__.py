"""Reports on recorded events: aggregation, statistics, pictures."""

from targetry.ledger.sums import Period
from targetry.report.by_segment import (
    ActivitySegment,
    ExperienceHeterogeneity,
    SegmentFigures,
    SegmentReport,
)
from targetry.report.comparison import GuardrailReport, MetricLift, MetricReport
from targetry.report.inference.statistics import Interval, Lift, SampleRatio, SequentialCheck
from targetry.report.looks import Look
from targetry.report.notebook import LoadedReport, load
from targetry.report.options import ActivityPlan, Guardrail, ReportOptions
from targetry.report.report import ActivityReport, ExperienceReport, Rate, Report
from targetry.report.series import AmountBin, SplitLook

__all__ = [
    "ActivityPlan",
    "ActivityReport",
    "ActivitySegment",
    "AmountBin",
    "ExperienceHeterogeneity",
    "ExperienceReport",
    "Guardrail",
    "GuardrailReport",
    "Interval",
    "Lift",
    "LoadedReport",
    "Look",
    "MetricLift",
    "MetricReport",
    "Period",
    "Rate",
    "Report",
    "ReportOptions",
    "SampleRatio",
    "SegmentFigures",
    "SegmentReport",
    "SequentialCheck",
    "SplitLook",
    "load",
]
