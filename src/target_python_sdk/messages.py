"""Texts of the client's errors and log lines."""

from targetry.messages import MESSAGES as MESSAGES
from targetry.models import DecisioningMethod as DecisioningMethod
