"""Import name of Adobe's `target-python-sdk`: code written for 1.1.0 keeps its imports."""

from target_python_sdk import cookies as cookies
from target_python_sdk import messages as messages
from target_python_sdk import types as types
from targetry import AttributesProvider as AttributesProvider
from targetry import TargetClient as TargetClient
from targetry.compat.attributes import get_attributes_callback as get_attributes_callback
from targetry.compat.decisioning_engine import DecisioningConfig as DecisioningConfig
from targetry.compat.decisioning_engine import TargetDecisioningEngine as TargetDecisioningEngine
from targetry.compat.events import EventProvider as EventProvider
from targetry.compat.events import get_logger as get_logger
from targetry.compat.functions import compose_functions as compose_functions
from targetry.compat.requests import EMPTY_REQUEST as EMPTY_REQUEST
from targetry.compat.requests import add_mboxes_to_request as add_mboxes_to_request
from targetry.compat.requests import requires_decisioning_engine as requires_decisioning_engine
from targetry.events import CLIENT_READY as CLIENT_READY
from targetry.messages import MESSAGES as MESSAGES
from targetry.models import DecisioningMethod as DecisioningMethod

CLIENT_READY_DELAY = 0.1  # seconds
DEFAULT_TIMEOUT = 3000  # milliseconds
DEFAULT_OPTS = {"internal": True, "decisioning_method": "server-side"}
