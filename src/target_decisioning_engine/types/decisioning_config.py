"""The official place of `DecisioningConfig`."""

from targetry.standalone import DecisioningConfig as DecisioningConfig
