"""Official import path of `Option`."""

from targetry.models import Option as Option
