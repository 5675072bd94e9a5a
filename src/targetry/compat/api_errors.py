"""Exceptions of the official `delivery_api_client` that calls of Targetry do not raise."""

from __future__ import annotations

from collections.abc import Sequence

from targetry.errors import OpenApiException


def render_path(path_to_item: Sequence[object]) -> str:
    """Return a path as text: `['execute']['mboxes'][0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f"['{step}']" for step in path_to_item)


class _OfInput(OpenApiException):
    """Base of errors about input; `path_to_item` leads from the outside to the fault."""

    def __init__(self, msg: str, path_to_item: Sequence[object] | None = None) -> None:
        super().__init__(f"{msg} at {render_path(path_to_item)}" if path_to_item else msg)
        self.path_to_item = path_to_item


class ApiTypeError(_OfInput, TypeError):
    """Error of an unknown argument, or one of a wrong type.

    `valid_classes` and `key_type` are kept as given: the types that fit, and whether a dict's key
    is meant.
    """

    def __init__(
        self,
        msg: str,
        path_to_item: Sequence[object] | None = None,
        valid_classes: tuple[type, ...] | None = None,
        key_type: bool | None = None,
    ) -> None:
        super().__init__(msg, path_to_item)
        self.valid_classes = valid_classes
        self.key_type = key_type


class ApiValueError(_OfInput, ValueError):
    """Error of a value that cannot be read."""


class ApiKeyError(_OfInput, KeyError):
    """Error of a missing key."""
