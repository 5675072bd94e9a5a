"""Signatures of command functions whose parameters are derived from the fields of a struct."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any


def parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    """Return a keyword-only parameter; `kind` is annotated with what typer reads."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def set_signature(command: Callable[..., None], parameters: Iterable[inspect.Parameter]) -> None:
    """Replace the signature that typer reads from a function."""
    signature = inspect.Signature(list(parameters))
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
