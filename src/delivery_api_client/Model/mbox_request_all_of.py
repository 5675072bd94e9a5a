"""The official place of `MboxRequestAllOf`."""

from targetry.models import MboxRequestAllOf as MboxRequestAllOf
