"""Functions of the official module."""

from target_tools.constants import MILLISECONDS_IN_SECOND as MILLISECONDS_IN_SECOND
from targetry._runtime.ids import new_id as _new_id
from targetry.compat.conversions import EPOCH_START as EPOCH_START
from targetry.compat.conversions import flatten_list as flatten_list
from targetry.compat.conversions import get_epoch_time as get_epoch_time
from targetry.compat.conversions import get_epoch_time_milliseconds as get_epoch_time_milliseconds
from targetry.compat.conversions import get_timezone_offset as get_timezone_offset
from targetry.compat.conversions import get_value_from_object as get_value_from_object
from targetry.compat.conversions import is_dict as is_dict
from targetry.compat.conversions import is_empty as is_empty
from targetry.compat.conversions import is_int as is_int
from targetry.compat.conversions import is_list as is_list
from targetry.compat.conversions import is_string as is_string
from targetry.compat.conversions import parse_float as parse_float
from targetry.compat.conversions import parse_int as parse_int
from targetry.compat.conversions import remove_empty_values as remove_empty_values
from targetry.compat.conversions import to_dict as to_dict
from targetry.compat.events import get_logger as get_logger
from targetry.compat.functions import compose_functions as compose_functions
from targetry.compat.functions import memoize as memoize
from targetry.compat.functions import noop as noop
from targetry.compat.requests import MBOXES as MBOXES
from targetry.compat.requests import REQUEST_TYPE_MAP as REQUEST_TYPE_MAP
from targetry.compat.requests import REQUEST_TYPES as REQUEST_TYPES
from targetry.compat.requests import VIEWS as VIEWS
from targetry.compat.requests import add_mboxes_to_request as add_mboxes_to_request
from targetry.compat.requests import decisioning_engine_ready as decisioning_engine_ready
from targetry.compat.requests import get_mbox_names as get_mbox_names
from targetry.compat.requests import get_names_for_requested as get_names_for_requested
from targetry.compat.requests import get_property as get_property
from targetry.compat.requests import get_property_token as get_property_token
from targetry.compat.requests import get_view_names as get_view_names
from targetry.compat.requests import has_requested as has_requested
from targetry.compat.requests import has_requested_views as has_requested_views
from targetry.compat.requests import requires_decisioning_engine as requires_decisioning_engine
from targetry.messages import property_token_mismatch as property_token_mismatch
from targetry.models import DecisioningMethod as DecisioningMethod
from targetry.models import ExecuteRequest as ExecuteRequest
from targetry.models import MboxRequest as MboxRequest
from targetry.models import ModelProperty as _ModelProperty
from targetry.models import PrefetchRequest as PrefetchRequest

Property = _ModelProperty
SECONDS_IN_MINUTE = 60
create_uuid = _new_id
