"""Logger of the SDK."""

from targetry._runtime.logger import LOGGER_NAME as LOGGER_NAME
from targetry.compat.events import get_logger as get_logger
