"""OpenTelemetry: evaluations, metrics and HTTP spans of a client (extra `otel`).

`OpenTelemetryHook` is given as one of the option `hooks`. `targetry.otel.instrumentor` adds it to
all clients of a program; `targetry.otel.openfeature` has a hook for OpenFeature.
"""

from __future__ import annotations

from targetry._runtime.lazy_import import importing_extra

with importing_extra("otel"):
    from targetry.otel.hook import OpenTelemetryHook

__all__ = ["OpenTelemetryHook"]
