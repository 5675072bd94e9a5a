"""The official place of `Action`."""

from targetry.models import Action as Action
