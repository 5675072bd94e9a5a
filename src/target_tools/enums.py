"""`DecisioningMethod`: one enum, whose members are strings too, in both of its official places."""

from targetry.models import DecisioningMethod as DecisioningMethod
