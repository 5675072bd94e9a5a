"""The official place of `Option`."""

from targetry.models import Option as Option
