"""Validators of option values.

A validator takes the name of an option, for the error, and the value; it returns the value to use,
or raises `OptionError` with the name as its path. Only given values (`is_given`) are validated.
Nothing is opened or resolved; a path need not exist.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from targetry.errors import OptionError, TargetryWarning
from targetry.models.containers import TooManyEntriesError
from targetry.models.field_names import LONGEST_COMPARED
from targetry.models.scalars import plain_bool, plain_number, plain_text, shown, text_of_id

Check = Callable[[str, Any], Any]
Copy = TypeVar("Copy")

# Functions of operating systems that wait count milliseconds in 32 bits: about 24 days.
LONGEST_MS = 2**31 - 1

_LONGEST_NUMBER = 20  # digits

_NOT_IN_A_HOST = frozenset(" /\\?#@%")
_PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})


def warn(text: str) -> None:
    """Emit a `TargetryWarning` at the calling line outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("targetry."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, TargetryWarning, stacklevel=level)


def is_given(value: object) -> bool:
    """Return whether an option was given: `None` and the empty text mean that it was not."""
    return value is not None and not (isinstance(value, str) and not value)


def is_false(value: object) -> bool:
    """Return `not value`; False if that raises."""
    try:
        return not value
    except Exception:
        return False


def is_absent(value: object) -> bool:
    """Return whether a value stands for no value: None, False, 0 or the empty text.

    The official package takes these from conditions such as `rules and "on-device"`.
    """
    return value is None or (isinstance(value, str | int | float) and is_false(value))


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return `; did you mean '…'?` with the nearest known name, or an empty text."""
    if not isinstance(name, str) or len(name) > LONGEST_COMPARED:
        return ""
    matches = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def convert(path: str, kind: Callable[[Any], Copy], value: Any) -> Copy:
    """Return `kind(value)`, a copy; any exception of the value becomes an `OptionError`."""
    try:
        return kind(value)
    except TooManyEntriesError as error:
        raise OptionError(path, str(error)) from error
    except Exception as error:
        raise OptionError(path, f"cannot be read: {type(error).__name__}") from error


def text(path: str, value: Any) -> str:
    """Validate a printable text."""
    given = plain_text(value)
    if given is None:
        raise _wrong_type(path, "a str", value)
    return _printable(path, given)


def id_text(path: str, value: Any) -> str:
    """Validate an id: a text, an integer or a UUID. Return it as text."""
    return _printable(path, any_id(path, value))


def time_zone(path: str, value: Any) -> tzinfo | None:
    """Validate the name of a time zone. Return the zone, None for UTC, which needs no data."""
    name = text(path, value)
    if name == "UTC":
        return None
    from zoneinfo import ZoneInfo, available_timezones

    with contextlib.suppress(KeyError, ValueError, OSError):
        return ZoneInfo(name)
    known = {one.lower(): one for one in available_timezones()}
    if not known:
        reason = f"cannot be {name!r}: this machine has no data on time zones; run `pip install tzdata`"
        raise OptionError(path, reason)
    near = get_close_matches(name.lower(), known, n=1) if len(name) <= LONGEST_COMPARED else ()
    hint = f"; did you mean {known[near[0]]!r}?" if near else ""
    raise OptionError(path, f"must be a time zone like Europe/Berlin, not {name!r}{hint}")


def any_text(path: str, value: Any) -> str:
    """Validate a text whose content its parser checks, since it may come from a visitor."""
    given = value if type(value) is str else plain_text(value)
    if given is None:
        raise _wrong_type(path, "a str", value)
    return given


def any_id(path: str, value: Any) -> str:
    """Validate an id whose content is not checked, since it may come from a visitor."""
    given = value if type(value) is str else convert(path, text_of_id, value)
    if given is None:
        raise _wrong_type(path, "a str, int or UUID", value)
    return given


def _printable(path: str, given: str) -> str:
    if not given.isprintable():
        raise OptionError(path, "must not hold control characters or lone surrogates")
    return given


def host(path: str, value: Any) -> str:
    """Validate a host name or address, perhaps with a port."""
    authority = _bare_authority(path, value)
    if authority.count(":") > 1 and not authority.startswith("["):
        raise OptionError(path, "must have an IPv6 address in brackets, like [::1]:8080")
    try:
        url = urlsplit(f"//{authority}")
    except ValueError:  # of its brackets
        raise OptionError(path, "must be a host name or an address") from None
    _check_port(path, url)
    return authority


def _bare_authority(path: str, value: Any) -> str:
    if not _NOT_IN_A_HOST.isdisjoint(text(path, value)):
        raise OptionError(path, "must be a bare host name, without scheme, path or credentials")
    return str(value)


def client_code(path: str, value: Any) -> str:
    """Validate a client code, which is a label of a host name and a segment of a path."""
    if ":" in _bare_authority(path, value):
        raise OptionError(path, "must be a client code, without a port")
    return str(value)


def base_path(path: str, value: Any) -> str:
    """Validate a host, perhaps with port, path and `http://` or `https://`."""
    scheme, separator, rest = text(path, value).rpartition("://")
    if separator and scheme.lower() not in ("http", "https"):
        raise OptionError(path, "must be a host, or begin with http:// or https://")
    host(path, rest.partition("/")[0])
    if "?" in rest or "#" in rest:
        raise OptionError(path, "must not have a query or a fragment")
    return str(value)


def positive_ms(path: str, value: Any) -> float:
    """Validate a positive number of milliseconds."""
    number = _number(path, value)
    if not 0 < number <= LONGEST_MS:
        raise OptionError(path, f"must be more than 0 and at most {LONGEST_MS} ms")
    return number


def interval_ms(path: str, value: Any) -> float:
    """Validate a number of milliseconds that can be 0."""
    number = _number(path, value)
    if not 0 <= number <= LONGEST_MS:
        raise OptionError(path, f"must be between 0 and {LONGEST_MS} ms")
    return number


def wait_s(timeout_s: Any, timeout: Any) -> float:
    """Validate the longest wait of a call in seconds; infinity and None are the longest possible.

    Args:
        timeout_s: The argument of this name.
        timeout: That with the former name, which precedes if it is not None.
    """
    path, value = ("timeout_s", timeout_s) if timeout is None else ("timeout", timeout)
    if value is None:
        return LONGEST_MS / 1000
    if isinstance(value, str | bytes | bool):
        raise _wrong_type(path, "a number of seconds", value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong_type(path, "a number of seconds", value) from None
    if number != number:
        raise OptionError(path, "must be a number of seconds, not nan")
    return min(max(number, 0.0), LONGEST_MS / 1000)


def count(path: str, value: Any) -> int:
    """Validate an integer of at least 1."""
    number = whole_number(path, value)
    if number < 1:
        raise OptionError(path, "must be at least 1")
    return number


def whole_number(path: str, value: Any) -> int:
    """Validate an integer of 64 bits."""
    number = convert(path, plain_number, value)
    if number is None or (isinstance(number, float) and not number.is_integer()):
        raise _wrong_type(path, "an int", value)
    if not -(2**63) <= number < 2**63:
        raise OptionError(path, "must fit into 64 bits")
    return int(number)


def whole_number_or_digits(path: str, value: Any) -> int:
    """Validate an integer, or its digits as text, as in environment variables."""
    digits = plain_text(value)
    if digits is not None and len(digits) <= _LONGEST_NUMBER and digits.isascii() and digits.isdigit():
        value = int(digits)
    return whole_number(path, value)


def boolean(path: str, value: Any) -> bool:
    """Validate a bool."""
    given = convert(path, plain_bool, value)
    if given is None:
        raise _wrong_type(path, "True or False", value)
    return given


def secure(path: str, value: Any) -> bool:
    """Validate `secure`: as in the official package, only `False` turns HTTPS off."""
    given = convert(path, plain_bool, value)
    if given is None:
        warn(f"{path}: {shown(value)} leaves HTTPS on; write False for plain HTTP")
    return given is not False


def file_path(path: str, value: Any) -> Path:
    """Validate the path of a file, which need not exist."""
    if not isinstance(value, (str, os.PathLike)):
        raise _wrong_type(path, "a str or os.PathLike", value)
    name = convert(path, os.fsdecode, value)
    if not name or "\0" in name:
        raise OptionError(path, "must be a path that is not empty and holds no NUL")
    try:
        os.fsencode(name)
    except UnicodeError as error:
        raise OptionError(path, "must not hold characters that no file name can have") from error
    return Path(name)


def location(path: str, value: Any) -> str | Path:
    """Validate the location of an artifact: return an HTTP URL as it is, or a file as a `Path`."""
    if not isinstance(value, str) or not ("://" in value or value.lower().startswith("file:")):
        return file_path(path, value)
    url = _url(path, value)
    if url.scheme in ("http", "https") and url.hostname:
        return value
    if url.scheme == "file" and url.hostname in (None, "localhost"):
        return file_path(path, _path_of_url(url))
    raise OptionError(path, "must be an http://, https:// or file:/// URL, or a path")


def proxy(path: str, value: Any) -> str:
    """Validate the URL of a proxy. No message repeats it, since it may contain a password."""
    url = _url(path, value)
    if url.scheme not in _PROXY_SCHEMES or not url.hostname:
        raise OptionError(path, "must be a URL like http://user:password@host:port")
    return str(value)


def payload(path: str, value: Any) -> Mapping[str, Any] | bytes | str:
    """Validate the type of an artifact payload."""
    is_name = isinstance(value, str) and value.lower().endswith((".json", ".bin"))
    if is_name or isinstance(value, os.PathLike):
        raise OptionError(path, "must be the artifact, not its file or URL; pass that as artifact_location")
    if not isinstance(value, (Mapping, bytes, str)):
        raise _wrong_type(path, "a dict, bytes or str", value)
    return value


def function(path: str, value: Any) -> Callable[..., Any]:
    """Validate a callable."""
    if not callable(value):
        raise _wrong_type(path, "callable", value)
    result: Callable[..., Any] = value
    return result


def one_of(*accepted: str) -> Check:
    """Return a validator of one of these texts."""

    def check(path: str, value: Any) -> str:
        if not isinstance(value, str) or value not in accepted:
            raise OptionError(path, f"must be one of {', '.join(accepted)}")
        return value

    return check


def with_methods(*methods: str) -> Check:
    """Return a validator of objects with these methods; it refuses a class."""

    def check(path: str, value: Any) -> Any:
        if isinstance(value, type):
            raise OptionError(path, f"must be an instance, not the class {value.__name__}")
        for method in methods:
            if not callable(getattr(value, method, None)):
                raise OptionError(path, f"has no method {method}()")
        return value

    return check


def _number(path: str, value: Any) -> float:
    number = convert(path, plain_number, value)
    if number is None:
        raise _wrong_type(path, "a number of milliseconds", value)
    return number


def _url(path: str, value: Any) -> SplitResult:
    given = text(path, value)
    try:
        url = urlsplit(given)
    except ValueError:  # its text repeats parts of the URL, perhaps a password
        raise OptionError(path, "is not a URL") from None
    _check_port(path, url)
    return url


def _check_port(path: str, url: SplitResult) -> None:
    """Refuse an impossible port. The message does not repeat it: it may be part of a password."""
    with contextlib.suppress(ValueError):  # not a number, or beyond 65535
        if url.port != 0:
            return
    raise OptionError(path, "must have a port from 1 to 65535")


def _path_of_url(url: SplitResult) -> str:
    path = unquote(url.path)
    # file:///C:/rules.json has a slash before the drive
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path


def _wrong_type(path: str, wanted: str, value: object) -> OptionError:
    return OptionError(path, f"must be {wanted}, not {type(value).__name__}")
