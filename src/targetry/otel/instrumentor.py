"""Instrumentor: `OpenTelemetryHook` for all clients of a program, without a change of its code.

`opentelemetry-instrument python app.py` finds it by its entry point. It needs the package
`opentelemetry-instrumentation`, which has that command.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from targetry.hooks import install_hook, uninstall_hook
from targetry.otel.hook import OpenTelemetryHook


class TargetryInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Gives each client that is created from now on an `OpenTelemetryHook`.

    `instrument` takes the options of the hook. A client with a hook of that class gets no second
    one.
    """

    _hook: OpenTelemetryHook | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return no requirement: the instrumented package is this one."""
        return ()

    def _instrument(self, **options: Any) -> None:
        options.pop("skip_dep_check", None)
        self._hook = OpenTelemetryHook(**options)
        install_hook(self._hook)

    def _uninstrument(self, **_: Any) -> None:
        if self._hook is not None:
            uninstall_hook(self._hook)
            self._hook = None
