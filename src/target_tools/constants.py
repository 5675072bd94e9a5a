"""Defaults and names of environments."""

from targetry.compat.requests import EMPTY_REQUEST as EMPTY_REQUEST
from targetry.compat.requests import REQUEST_TYPES as REQUEST_TYPES
from targetry.device.artifact import DEFAULT_GLOBAL_MBOX as DEFAULT_GLOBAL_MBOX
from targetry.models import ChannelType as ChannelType
from targetry.models import Context as Context
from targetry.models import DeliveryRequest as DeliveryRequest

DEFAULT_NUM_FETCH_RETRIES = 10
DEFAULT_MAXIMUM_WAIT_READY = -1  # no bound
ENVIRONMENT_PROD = "production"
ENVIRONMENT_STAGE = "staging"
ENVIRONMENT_DEV = "development"
POSSIBLE_ENVIRONMENTS = [ENVIRONMENT_PROD, ENVIRONMENT_STAGE, ENVIRONMENT_DEV]
MILLISECONDS_IN_SECOND = 1000
EMPTY_STRING = ""
