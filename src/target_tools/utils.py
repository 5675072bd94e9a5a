"""The functions of the official module that programs call."""

from targetry.ids import new_id as create_uuid
from targetry.official.requests import add_mboxes_to_request as add_mboxes_to_request
from targetry.official.values import get_epoch_time as get_epoch_time
from targetry.official.values import get_epoch_time_milliseconds as get_epoch_time_milliseconds
from targetry.official.values import to_dict as to_dict

__all__ = [
    "add_mboxes_to_request",
    "create_uuid",
    "get_epoch_time",
    "get_epoch_time_milliseconds",
    "to_dict",
]
