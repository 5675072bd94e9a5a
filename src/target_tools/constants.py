"""Defaults and names of environments."""

from targetry.device.artifact import DEFAULT_GLOBAL_MBOX as DEFAULT_GLOBAL_MBOX
from targetry.official.requests import EMPTY_REQUEST as EMPTY_REQUEST

DEFAULT_NUM_FETCH_RETRIES = 10
DEFAULT_MAXIMUM_WAIT_READY = -1  # no bound
ENVIRONMENT_PROD = "production"
ENVIRONMENT_STAGE = "staging"
ENVIRONMENT_DEV = "development"
POSSIBLE_ENVIRONMENTS = [ENVIRONMENT_PROD, ENVIRONMENT_STAGE, ENVIRONMENT_DEV]
REQUEST_TYPES = ["prefetch", "execute"]
MILLISECONDS_IN_SECOND = 1000
EMPTY_STRING = ""
