"""Stepwise decoding of large responses, so that a deadline can end it and other threads can run.

A JSON decoder written in C lets no other thread run until it has finished, and some megabytes take
longer than an event loop can be blocked. Here a large value is split into its members first, which
is twenty times faster than decoding it, and each member is decoded by itself. The result is equal.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec

from targetry.models.base import Model
from targetry.models.constraint import ConstraintError, root_of

LARGE_BYTES: Final = 256 * 1024
_STEP_BYTES: Final = 32 * 1024  # decoded at once
_MAX_DEPTH: Final = 12  # of splitting: each level reads all bytes once more

M = TypeVar("M", bound=Model)
Check = Callable[[], object]


def decode_in_steps(body: bytes, model: type[M], check: Check) -> M:
    """Return `model.from_json(body)`, with a call of `check` before each step.

    Raises:
        ConstraintError: The body is not JSON or breaks a constraint; a `ValueError`.
        Exception: An exception of `check`, which ends the decoding.
    """
    try:
        return _model(body, model, check, 0)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ConstraintError(root_of(model), f"is not JSON: {error}") from error


def _model(raw: bytes | msgspec.Raw, model: type[M], check: Check, depth: int) -> M:
    check()
    if len(raw) <= _STEP_BYTES or not _starts_with(raw, b"{"):
        return model.from_json(bytes(raw))
    parts = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    decoded = model()
    for field in msgspec.structs.fields(model):
        part = parts.get(field.encode_name)
        if part is not None:
            setattr(decoded, field.name, _field(part, model, field, check, depth + 1))
    return decoded


def _field(
    raw: msgspec.Raw, model: type[Model], field: msgspec.structs.FieldInfo, check: Check, depth: int
) -> Any:
    kinds = [kind for kind in get_args(field.type) if kind is not NoneType]
    kind = kinds[0] if len(kinds) == 1 else field.type
    if len(raw) > _STEP_BYTES:
        if isinstance(kind, type) and issubclass(kind, Model):
            return _model(raw, kind, check, depth)
        item = get_args(kind)[0] if get_origin(kind) is list else None
        if isinstance(item, type) and issubclass(item, Model) and _starts_with(raw, b"["):
            return [
                _model(one, item, check, depth + 1)
                for one in msgspec.json.decode(raw, type=list[msgspec.Raw])
            ]
        if kind is Any:
            return _any(raw, check, depth)
    check()
    return getattr(model.from_json(b'{"%b":%b}' % (field.encode_name.encode(), bytes(raw))), field.name)


def _any(raw: msgspec.Raw, check: Check, depth: int) -> Any:
    check()
    if len(raw) > _STEP_BYTES and depth < _MAX_DEPTH:
        if _starts_with(raw, b"{"):
            members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            return {name: _any(member, check, depth + 1) for name, member in members.items()}
        if _starts_with(raw, b"["):
            return [_any(item, check, depth + 1) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]
    return msgspec.json.decode(raw)


def _starts_with(raw: bytes | msgspec.Raw, text: bytes) -> bool:
    return bytes(memoryview(raw)[:1]) == text
