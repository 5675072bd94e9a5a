"""The official place of `EventProvider`."""

from targetry.official.events import EventProvider as EventProvider
from targetry.official.events import target_event as target_event
