"""Where the SDK logs to."""

from targetry.logs import LOGGER_NAME as LOGGER_NAME
from targetry.official.events import get_logger as get_logger
