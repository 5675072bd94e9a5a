"""Official import path of `ModelProperty`."""

from targetry.models import ModelProperty as ModelProperty
