"""The official place of `Geo`."""

from targetry.models import Geo as Geo
