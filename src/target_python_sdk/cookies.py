"""Names of Target's cookies, and the codec of the `mbox` cookie."""

from target_tools.constants import MILLISECONDS_IN_SECOND as MILLISECONDS_IN_SECOND
from targetry.compat.conversions import get_epoch_time_milliseconds as get_epoch_time_milliseconds
from targetry.compat.conversions import is_int as is_int
from targetry.compat.conversions import parse_int as parse_int
from targetry.compat.cookies import create_internal_cookie as create_internal_cookie
from targetry.compat.cookies import create_target_cookie as create_target_cookie
from targetry.compat.cookies import deserialize_cookie as deserialize_cookie
from targetry.compat.cookies import get_expires as get_expires
from targetry.compat.cookies import get_internal_cookies as get_internal_cookies
from targetry.compat.cookies import get_max_expires as get_max_expires
from targetry.compat.cookies import parse_cookies as parse_cookies
from targetry.compat.cookies import serialize_cookie as serialize_cookie
from targetry.delivery.cookies import DEVICE_ID_COOKIE as DEVICE_ID_COOKIE
from targetry.delivery.cookies import LOCATION_HINT_COOKIE as LOCATION_HINT_COOKIE
from targetry.delivery.cookies import SESSION_ID_COOKIE as SESSION_ID_COOKIE
from targetry.delivery.cookies import TARGET_COOKIE as TARGET_COOKIE
