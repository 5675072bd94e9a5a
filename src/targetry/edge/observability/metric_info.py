"""Descriptions of the edge's metrics: text, labels, and the values of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

PREFIX: Final = "targetry_edge_"


class MetricInfo(NamedTuple):
    """Description of a metric; `labels` maps each label to its values in words."""

    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Mapping[str, str] = {}


ROUTES: Final = (
    "delivery",
    "artifact",
    "ofrep",
    "ofrep_events",
    "geo",
    "healthz",
    "readyz",
    "metrics",
    "dashboard",
    "recent",
    "request",
    "activities",
    "ask",
    "files",
    "report",
    "plot",
    "other",
)
"""Values of the label `route`; `other` is a path that does not exist."""

METRICS: Final = {
    "requests": MetricInfo(
        "counter", "Requests answered.", {"route": "see [below](#routes)", "status": "HTTP status"}
    ),
    "request_seconds": MetricInfo("histogram", "Time to answer.", {"route": "as above"}),
    "events": MetricInfo(
        "counter",
        "Events by outcome: recorded, seen before, lost, or repeated evaluations of a flag.",
        {
            "kind": "`impression`, `display`, `click` or `order`",
            "outcome": "`recorded`, `seen`, `lost` or `repeated`",
        },
    ),
    "lost_events": MetricInfo(
        "counter",
        "Events that could not be recorded, by the reason.",
        {
            "reason": "`full`, `locked`, `read-only`, `corrupt`, `removed` or `unusable` (the file), `unreachable` "
            "(PostgreSQL), `busy` (too many are waiting), `closed`, `forked`, `invalid` (an event), `error`"
        },
    ),
    "unknown_tokens": MetricInfo(
        "counter", "Events whose token no artifact has, which count for no activity."
    ),
    "notifications": MetricInfo("counter", "Notifications accepted."),
    "telemetry_entries": MetricInfo("counter", "Telemetry entries accepted."),
    "ofrep_evaluations": MetricInfo(
        "counter",
        "Flags evaluated, by reason or error code.",
        {"form": "`one` or `all`", "outcome": "reason or error code of OFREP"},
    ),
    "rule_problems": MetricInfo("counter", "Rules skipped as they could not be evaluated."),
    "unread_fields": MetricInfo(
        "counter",
        "Fields of requests that were ignored, as their values cannot be read.",
        {"field": "path of the field, or `x-forwarded-for`"},
    ),
    "limits": MetricInfo(
        "counter", "Requests and connections ended at a limit.", {"limit": "see [below](#limits)"}
    ),
    "connections": MetricInfo("gauge", "Open connections."),
    "starts": MetricInfo("counter", "Processes that started to serve."),
    "artifact_reloads": MetricInfo("counter", "Artifacts loaded again."),
    "artifact_refusals": MetricInfo("counter", "Artifacts rejected."),
    "hook_failures": MetricInfo("counter", "Calls of hooks that raised."),
    "requests_recorded": MetricInfo("counter", "Requests that `--record-requests` has recorded."),
    "requests_dropped": MetricInfo(
        "counter", "Requests that could not be recorded: the file is full, or cannot be written."
    ),
    "artifact_loaded_seconds": MetricInfo(
        "gauge", "When the artifact in use was read, in epoch seconds.", {"artifact": "name of the file"}
    ),
    "artifact_refused": MetricInfo("gauge", "1 while a newer one is rejected.", {"artifact": "as above"}),
}
"""Metrics by name, without the prefix, in the order of the reference page."""
