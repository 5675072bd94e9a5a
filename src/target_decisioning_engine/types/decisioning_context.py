"""Dicts for what rules are evaluated against."""

from targetry.official.documents import DecisioningContext as DecisioningContext
from targetry.official.documents import GeoContext as GeoContext
from targetry.official.documents import PageContext as PageContext
from targetry.official.documents import TimingContext as TimingContext
from targetry.official.documents import UserContext as UserContext
