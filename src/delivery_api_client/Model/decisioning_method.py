"""Official import path of `DecisioningMethod`."""

from targetry.models import DecisioningMethod as DecisioningMethod
