"""Official import path of `MboxRequestAllOf`."""

from targetry.models import MboxRequestAllOf as MboxRequestAllOf
