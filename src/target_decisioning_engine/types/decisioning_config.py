"""Official import path of `DecisioningConfig`."""

from targetry.compat.decisioning_engine import DecisioningConfig as DecisioningConfig
