"""Named dicts of the facts of rules."""

from targetry.compat.documents import DecisioningContext as DecisioningContext
from targetry.compat.documents import GeoContext as GeoContext
from targetry.compat.documents import PageContext as PageContext
from targetry.compat.documents import TimingContext as TimingContext
from targetry.compat.documents import UserContext as UserContext
