"""Integrations of web frameworks and task queues; each needs the extra of its name."""

from __future__ import annotations

from targetry.contrib.current import current_target
from targetry.web.bound import AsyncBoundTarget, BoundTarget
from targetry.web.consent import Consent

__all__ = ["AsyncBoundTarget", "BoundTarget", "Consent", "current_target"]
