"""The official place of `AttributesProvider`."""

from targetry import AttributesProvider as AttributesProvider
