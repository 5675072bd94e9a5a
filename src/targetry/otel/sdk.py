"""Presence of an SDK of OpenTelemetry: without one, the API drops everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

_API_MODULES: Final = ("opentelemetry._logs", "opentelemetry.metrics", "opentelemetry.trace")
_LOOK_AGAIN_S: Final = 0.25


class SdkWatch:
    """Watch of the providers that a hook exports to.

    Args:
        providers: Each returns a provider. That of an SDK is noticed within 250 ms after it is set:
            to ask the API for it costs a microsecond, as much as the rest of an unused hook.
    """

    def __init__(self, providers: Iterable[Callable[[], object]]) -> None:
        self._providers = tuple(providers)
        self._is_present = False
        self._look_again_at = 0.0

    def is_present(self) -> bool:
        """Return whether one of the providers does not belong to the API."""
        if not self._is_present and (now := time.monotonic()) >= self._look_again_at:
            found = (type(provider()).__module__ for provider in self._providers)
            self._is_present = any(not module.startswith(_API_MODULES) for module in found)
            self._look_again_at = now + _LOOK_AGAIN_S
        return self._is_present
