"""Flag keys: `mbox`, or `mbox:attribute.attribute` for one attribute of its JSON offer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from targetry.errors import OptionError
from targetry.flags.errors import FlagError
from targetry.models.scalars import shown

DEFAULT_SEPARATOR: Final = ":"
_RESERVED: Final = "/#?%."  # in URLs, which OFREP clients put keys into unescaped, and in paths


class FlagKey(msgspec.Struct, frozen=True):
    """The mbox of a flag, and the path of an attribute of its JSON offer, empty for the offer."""

    mbox: str
    path: tuple[str, ...] = ()


def parse_key(key: str, separator: str = DEFAULT_SEPARATOR) -> FlagKey:
    """Parse a flag key. The first separator counts; nothing is escaped.

    Raises:
        FlagError: `FLAG_NOT_FOUND` if the mbox or a part of the path is empty.
    """
    mbox, found, path = key.partition(separator)
    names = tuple(path.split(".")) if found else ()
    if not mbox or not all(names):
        raise FlagError("FLAG_NOT_FOUND", f"{shown(key)} is no flag key: mbox[{separator}attribute]")
    return FlagKey(mbox, names)


def checked_separator(value: object) -> str:
    """Return the option `separator`. Raises `OptionError` unless it is one valid character."""
    if isinstance(value, str) and len(value) == 1 and value.isprintable() and value not in _RESERVED:
        return value
    raise OptionError("separator", f"must be one character, and none of {' '.join(_RESERVED)}")


def checked_aliases(value: object, separator: str) -> dict[str, FlagKey]:
    """Return the option `flags`: aliases of flags with their keys.

    Raises `OptionError` with the path of an invalid key.
    """
    if not isinstance(value, Mapping):
        raise OptionError("flags", f"must be a mapping of names to flag keys, not {type(value).__name__}")
    aliases = {}
    for name, key in value.items():
        path = f"flags[{shown(name)}]"
        if not isinstance(name, str) or not name or not isinstance(key, str):
            raise OptionError(path, "must be a flag key under a name, both texts, the name not empty")
        try:
            aliases[name] = parse_key(key, separator)
        except FlagError as error:
            raise OptionError(path, str(error)) from None
    return aliases


class FlagKeys:
    """Parser of flag keys with the options `separator` and `flags`.

    Thread-safe; caches the last 1,024 keys.
    """

    def __init__(self, separator: object = DEFAULT_SEPARATOR, flags: object = None) -> None:
        self.separator = checked_separator(separator)
        self.aliases = {} if flags is None else checked_aliases(flags, self.separator)
        self.parse = lru_cache(maxsize=1024)(self._parse)

    def _parse(self, key: str) -> FlagKey:
        alias = self.aliases.get(key)
        return parse_key(key, self.separator) if alias is None else alias
