"""Base class of all models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from targetry.models.class_data import AttributeMap, OpenApiTypes, attributes_of
from targetry.models.constraint import ConstraintError, root_of
from targetry.models.containers import holds_plain_data
from targetry.models.json_text import parse_json
from targetry.models.reading import read
from targetry.models.scalars import ReadMode, type_name
from targetry.models.writing import json_text, plain, pretty_text


# No cycle goes through a model, so the collector need not follow them; that saves a tenth of a
# snapshot's time.
class Model(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """Object of the Delivery API, in snake_case here and in camelCase on the wire.

    Each field can be left out and is None then; it is not sent. Construction and assignment check
    nothing; a request is checked when it enters the SDK. Two models are equal if they are of one
    class and hold equal values.
    """

    attribute_map = AttributeMap()
    openapi_types = OpenApiTypes()
    discriminator: ClassVar[None] = None
    if not TYPE_CHECKING:
        __dict__ = property(attributes_of)

    _read_mode: ClassVar[ReadMode] = ReadMode()
    _is_response: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes by their Python names, None included, with models as dicts.

        Raises:
            ConstraintError: A value is nested too deeply, holds itself, or cannot be read (a
                `ValueError`).
        """
        return plain(self)

    def to_str(self) -> str:
        """Return `to_dict()` as readable text. Raises as `to_dict`."""
        return pretty_text(self)

    def __repr__(self) -> str:
        try:
            return self.to_str()
        except ConstraintError as error:
            return f"<{type(self).__name__} {error.reason}>"

    def to_json(self) -> str:
        """Return the JSON text for the wire: camelCase, None left out, times in ISO 8601.

        In a response infinity is null, as JavaScript writes it.

        Raises:
            ConstraintError: JSON cannot hold a value: NaN, infinity, an object of another class (a
                `ValueError`).
        """
        return json_text(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text of the wire. Unknown keys are ignored, limits are not checked.

        Raises:
            ConstraintError: The text is not JSON, or a field is wrong; it has the field's path (a
                `ValueError`).
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):
            return read(parse_json(text, root_of(cls)), cls, root_of(cls), cls._read_mode)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """Read a mapping with the names of the wire; unknown names are ignored.

        Models and free JSON (`Option.content`) in it are not copied.

        Raises:
            ConstraintError: A field is wrong; it has the field's path (a `ValueError`).
        """
        if type(mapping) is dict and holds_plain_data(mapping):
            try:
                return msgspec.convert(mapping, cls)
            except Exception:  # a mapping inside may raise anything; the field-by-field reader finds its path
                pass
        elif isinstance(mapping, msgspec.Struct):
            raise ConstraintError(root_of(cls), f"must be a mapping, not {type_name(mapping)}")
        return read(mapping, cls, root_of(cls), cls._read_mode)
