"""The exceptions of the official `delivery_api_client` that Targetry has no other use for."""

from __future__ import annotations

from collections.abc import Sequence

from targetry.errors import OpenApiException


class _OfInput(OpenApiException):
    """`path_to_item` leads to what is wrong, from the outside in."""

    def __init__(self, msg: str, path_to_item: Sequence[object] | None = None) -> None:
        place = "".join(f"[{step!r}]" for step in path_to_item or ())
        super().__init__(f"{msg} at {place}" if place else msg)
        self.path_to_item = path_to_item


class ApiTypeError(_OfInput, TypeError):
    """An argument that is not taken, or of a wrong type."""


class ApiValueError(_OfInput, ValueError):
    """A value that cannot be read."""


class ApiKeyError(_OfInput, KeyError):
    """A key that is not there."""
