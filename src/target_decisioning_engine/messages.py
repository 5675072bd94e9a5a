"""Texts of the engine's errors and log lines."""

from targetry.compat.engine_messages import MESSAGES as MESSAGES
from targetry.compat.engine_messages import artifact_fetch_error as artifact_fetch_error
from targetry.compat.engine_messages import artifact_version_unsupported as artifact_version_unsupported
from targetry.compat.engine_messages import error_max_retry as error_max_retry
from targetry.compat.engine_messages import invalid_environment as invalid_environment
