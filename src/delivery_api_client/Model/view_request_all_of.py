"""The official place of `ViewRequestAllOf`."""

from targetry.models import ViewRequestAllOf as ViewRequestAllOf
