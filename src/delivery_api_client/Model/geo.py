"""Official import path of `Geo`."""

from targetry.models import Geo as Geo
