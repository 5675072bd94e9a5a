"""Import name of the modules that Adobe's packages share."""

from target_tools import attributes_provider as attributes_provider
from target_tools import constants as constants
from target_tools import enums as enums
from target_tools import event_provider as event_provider
from target_tools import logger as logger
from target_tools import messages as messages
from target_tools import utils as utils
