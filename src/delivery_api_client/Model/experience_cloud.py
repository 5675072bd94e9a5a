"""The official place of `ExperienceCloud`."""

from targetry.models import ExperienceCloud as ExperienceCloud
