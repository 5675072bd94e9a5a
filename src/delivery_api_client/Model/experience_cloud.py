"""Official import path of `ExperienceCloud`."""

from targetry.models import ExperienceCloud as ExperienceCloud
