"""The official import name of Adobe Target's on-device engine without a client, here for `targetry.standalone`."""

from targetry.standalone import DecisioningConfig as DecisioningConfig
from targetry.standalone import TargetDecisioningEngine as TargetDecisioningEngine
