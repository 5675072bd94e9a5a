"""Texts of the official `target_decisioning_engine.messages`, which programs look up by key."""

from __future__ import annotations

from typing import Any, Final

from targetry.messages import ARTIFACT_NOT_AVAILABLE


def error_max_retry(num_retries: int, err_string: str) -> str:
    """Return the text for an artifact that could not be downloaded after several retries."""
    return f"Unable to retrieve artifact after {num_retries} retries: {err_string}"


def artifact_version_unsupported(artifact_version: str | None, supported_major_version: int) -> str:
    """Return the text for an artifact of another major version."""
    return (
        f"The decisioning artifact version ({artifact_version}) is not supported. "
        f"This library is compatible with this major version: {supported_major_version}"
    )


def artifact_fetch_error(reason: str) -> str:
    """Return the text for an artifact that could not be downloaded."""
    return f"Failed to retrieve artifact: {reason}"


def invalid_environment(expected_environment: str, default_environment: str) -> str:
    """Return the text for an environment of an unknown name."""
    return (
        f"'{expected_environment}' is not a valid target environment, defaulting to '{default_environment}'."
    )


MESSAGES: Final[dict[str, Any]] = {
    "ERROR_MAX_RETRY": error_max_retry,
    "ARTIFACT_NOT_AVAILABLE": ARTIFACT_NOT_AVAILABLE,
    "ARTIFACT_VERSION_UNSUPPORTED": artifact_version_unsupported,
    "ARTIFACT_FETCH_ERROR": artifact_fetch_error,
    "ARTIFACT_INVALID": "Invalid Artifact",
    "INVALID_ENVIRONMENT": invalid_environment,
    "NOT_APPLICABLE": "Not Applicable",
    "ARTIFACT_OBFUSCATION_ERROR": "Unable to read artifact JSON",
    "UNKNOWN": "unknown",
}
