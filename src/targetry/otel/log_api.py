"""API of OpenTelemetry for logs: its module is private by name, so this is the one to import it."""

from __future__ import annotations

from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger, get_logger_provider

__all__ = ["Logger", "LoggerProvider", "SeverityNumber", "get_logger", "get_logger_provider"]
