"""Defaults, names of response tokens, headers and CDN hosts of the official engine."""

from target_tools.constants import ENVIRONMENT_DEV as ENVIRONMENT_DEV
from target_tools.constants import ENVIRONMENT_PROD as ENVIRONMENT_PROD
from target_tools.constants import ENVIRONMENT_STAGE as ENVIRONMENT_STAGE

ARTIFACT_FILENAME = "rules.json"
BAD_REQUEST = 400
CAMPAIGN_BUCKET_SALT = "0"
DEFAULT_POLLING_INTERVAL = 300  # seconds
FORBIDDEN = 403
HTTP_GET = "GET"
LOG_PREFIX = "LD"
MINIMUM_POLLING_INTERVAL = 300  # seconds
NOT_MODIFIED = 304
NUM_FETCH_RETRIES = 10
OK = 200
PARTIAL_CONTENT = 206
SUPPORTED_ARTIFACT_MAJOR_VERSION = 1
SUPPORTED_ARTIFACT_OBFUSCATION_VERSION = 1

CDN_BASE_PROD = "assets.adobetarget.com"
CDN_BASE_STAGE = "assets.staging.adobetarget.com"
CDN_BASE_DEV = "assets.staging.adobetarget.com"
CDN_BASE = {
    ENVIRONMENT_PROD: CDN_BASE_PROD,
    ENVIRONMENT_STAGE: CDN_BASE_STAGE,
    ENVIRONMENT_DEV: CDN_BASE_DEV,
}

HTTP_HEADER_FORWARDED_FOR = "x-forwarded-for"
HTTP_HEADER_GEO_CITY = "x-geo-city"
HTTP_HEADER_GEO_COUNTRY = "x-geo-country-code"
HTTP_HEADER_GEO_LATITUDE = "x-geo-latitude"
HTTP_HEADER_GEO_LONGITUDE = "x-geo-longitude"
HTTP_HEADER_GEO_REGION = "x-geo-region-code"

ACTIVITY_DECISIONING_METHOD = "activity.decisioningMethod"
ACTIVITY_ID = "activity.id"
ACTIVITY_NAME = "activity.name"
ACTIVITY_TYPE = "activity.type"
AUDIENCE_IDS = "audience.ids"
EXPERIENCE_ID = "experience.id"
EXPERIENCE_NAME = "experience.name"
GEO_CITY = "geo.city"
GEO_COUNTRY = "geo.country"
GEO_LATITUDE = "geo.latitude"
GEO_LONGITUDE = "geo.longitude"
GEO_STATE = "geo.state"
LOCATION_ID = "location.id"
LOCATION_NAME = "location.name"
LOCATION_TYPE = "location.type"
OFFER_ID = "offer.id"
OFFER_NAME = "offer.name"
OPTION_ID = "option.id"
OPTION_NAME = "option.name"
