"""The official place of `DecisioningMethod`."""

from targetry.models import DecisioningMethod as DecisioningMethod
