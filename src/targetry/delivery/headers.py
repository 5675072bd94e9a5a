"""Case-insensitive response headers of an exception."""

from __future__ import annotations

from typing import Any, overload


class ResponseHeaders(dict[str, str]):
    """Response headers with lower-case names; lookups ignore case."""

    __slots__ = ()

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: Any, /) -> Any: ...
    def get(self, name: str, default: Any = None, /) -> Any:
        """Return the value of a header; several of one name are joined by `, `."""
        return super().get(name.lower(), default)
