"""Names of Target's cookies, and the `mbox` cookie taken apart and put together."""

from targetry.delivery.cookies import DEVICE_ID_COOKIE as DEVICE_ID_COOKIE
from targetry.delivery.cookies import LOCATION_HINT_COOKIE as LOCATION_HINT_COOKIE
from targetry.delivery.cookies import SESSION_ID_COOKIE as SESSION_ID_COOKIE
from targetry.delivery.cookies import TARGET_COOKIE as TARGET_COOKIE
from targetry.official.cookies import create_target_cookie as create_target_cookie
from targetry.official.cookies import parse_cookies as parse_cookies
