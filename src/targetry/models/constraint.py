"""Limits of the Delivery API's OpenAPI document, as annotations, and their error.

The annotations are read twice: by msgspec, which checks a whole request in one C call, and by
`reading.py`, which finds the wrong field and describes the fault. `extra={"type": ...}` is the
type's name in the official `openapi_types`, if the annotation does not imply it. `accepted.py`
annotates fields that accept more types than they are read as.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct


class ConstraintError(ValueError):
    """Error of a field whose value is not allowed.

    Attributes:
        path: The field by its Python attributes (`request.execute.mboxes[1].name`).
        reason: The fault.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def root_of(model: type[Struct]) -> str:
    """Return the name of a model in paths: `request`, `response`, `mbox_request`."""
    return _WORD_START.sub("_", model.__name__).lower().removeprefix("delivery_")


MAX_PARAMETERS: Final = 50  # of a location
MAX_PARAMETER_NAME: Final = 128  # characters
MAX_ID_LENGTH: Final = 128  # of a visitor
MAX_URL_LENGTH: Final = 4096
MAX_PARAMETER_VALUE: Final = 5000  # characters

# JSON has no NaN and no infinity; a range is the one check of msgspec that refuses both.
Number = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

Text12 = Annotated[str, Meta(max_length=12)]
Text50 = Annotated[str, Meta(max_length=50)]
Text128 = Annotated[str, Meta(max_length=128)]
Text250 = Annotated[str, Meta(max_length=250)]
Text512 = Annotated[str, Meta(max_length=512)]
Text4096 = Annotated[str, Meta(max_length=MAX_URL_LENGTH)]

if TYPE_CHECKING:
    # A checker would reject a variable of type `dict[str, str]` where values of more types are
    # allowed.
    Parameters = dict[str, Any]
else:
    ParameterName = Annotated[str, Meta(min_length=1, max_length=MAX_PARAMETER_NAME)]
    ParameterValue = Annotated[str, Meta(max_length=MAX_PARAMETER_VALUE)] | Int64 | Number | bool | None
    Parameters = Annotated[
        dict[ParameterName, ParameterValue], Meta(max_length=MAX_PARAMETERS, extra={"type": "dict(str, str)"})
    ]
