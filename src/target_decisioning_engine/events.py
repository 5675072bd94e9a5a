"""Names of the engine's events."""

from targetry.events import ARTIFACT_DOWNLOAD_FAILED as ARTIFACT_DOWNLOAD_FAILED
from targetry.events import ARTIFACT_DOWNLOAD_SUCCEEDED as ARTIFACT_DOWNLOAD_SUCCEEDED
from targetry.events import GEO_LOCATION_UPDATED as GEO_LOCATION_UPDATED
