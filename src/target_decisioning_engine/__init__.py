"""Import name of Adobe's on-device engine without a client."""

from target_decisioning_engine import constants as constants
from target_decisioning_engine import events as events
from target_decisioning_engine import messages as messages
from target_decisioning_engine import types as types
from target_decisioning_engine.constants import (
    SUPPORTED_ARTIFACT_MAJOR_VERSION as SUPPORTED_ARTIFACT_MAJOR_VERSION,
)
from target_decisioning_engine.messages import MESSAGES as MESSAGES
from targetry.compat.decisioning_engine import DecisioningConfig as DecisioningConfig
from targetry.compat.decisioning_engine import TargetDecisioningEngine as TargetDecisioningEngine
