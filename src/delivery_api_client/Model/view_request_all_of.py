"""Official import path of `ViewRequestAllOf`."""

from targetry.models import ViewRequestAllOf as ViewRequestAllOf
