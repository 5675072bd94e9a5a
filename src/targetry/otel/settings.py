"""Checks of the options that hooks for OpenTelemetry share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, get_args

from targetry.errors import OptionError
from targetry.models.scalars import shown
from targetry.version import __version__

Events = Literal["log", "span", "both", "none"]
ContextId = Literal["hash", "plain", "none"]
Spans = Literal["http", "all", "none"]

EVENTS: Final[tuple[Events, ...]] = get_args(Events)
CONTEXT_IDS: Final[tuple[ContextId, ...]] = get_args(ContextId)
SPANS: Final[tuple[Spans, ...]] = get_args(Spans)

SCOPE: Final = "targetry"
SCOPE_VERSION: Final = __version__
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""Version of the semantic conventions whose names are used."""


def check_choice(path: str, value: object, choices: Iterable[str]) -> None:
    """Raise `OptionError` unless a value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise OptionError(path, f"must be one of {', '.join(choices)}, not {shown(value)}")


def check_boolean(path: str, value: object) -> None:
    """Raise `OptionError` unless a value is a boolean."""
    if not isinstance(value, bool):
        raise OptionError(path, f"must be a bool, not {shown(value)}")


def check_provider(path: str, value: Any, method: str) -> None:
    """Raise `OptionError` unless a value is None or a provider with this method."""
    if value is not None and not callable(getattr(value, method, None)):
        raise OptionError(path, f"has no method {method}()")
