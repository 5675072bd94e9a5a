"""Official import path of `Action`."""

from targetry.models import Action as Action
