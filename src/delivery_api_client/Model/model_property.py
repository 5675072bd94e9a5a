"""The official place of `ModelProperty`."""

from targetry.models import ModelProperty as ModelProperty
