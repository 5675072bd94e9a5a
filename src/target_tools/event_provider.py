"""The official place of `EventProvider`."""

from targetry.official.events import EventProvider as EventProvider
