"""Official import path of `EventProvider`."""

from targetry.compat.events import EventProvider as EventProvider
from targetry.compat.events import target_event as target_event
