"""Public surface of the official packages as JSON, read from those the interpreter finds."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

PACKAGES = ("target_python_sdk", "target_tools", "target_decisioning_engine", "delivery_api_client")
CONSTANTS = (str, int, float, list, dict)


def modules() -> Iterator[str]:
    """Yield the names of all modules, packages first."""
    for package in PACKAGES:
        yield package
        path = importlib.import_module(package).__path__
        yield from (found.name for found in pkgutil.walk_packages(path, f"{package}."))


def is_own(name: str, value: object) -> bool:
    """Return whether a name is the module's own, and not merely imported."""
    if name.startswith("_") and name != "__version__":
        return False
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0] in PACKAGES and value.__name__ not in PACKAGES
    if inspect.isclass(value) or inspect.isroutine(value):
        return (getattr(value, "__module__", None) or "").partition(".")[0] in PACKAGES
    return isinstance(value, CONSTANTS)


def parameters(value: Any) -> list[str] | None:
    """Return the names of a callable's parameters in order; None if they cannot be read."""
    try:
        found = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return None
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(each.kind, "") + each.name for each in found if each.name not in ("self", "cls")]


def assigned(kind: type) -> list[str]:
    """Return the public attributes that the methods of a class assign to `self`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    targets = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    stored = (node for node in targets if isinstance(node.ctx, ast.Store))
    names = {node.attr for node in stored if isinstance(node.value, ast.Name) and node.value.id == "self"}
    return sorted(name for name in names if not name.startswith("_"))


def described(value: Any) -> dict[str, Any]:
    """Return `kind`, and `parameters`, `members`, `attributes` or `value` as the kind has them."""
    if isinstance(value, ModuleType):
        return {"kind": "module"}
    if inspect.isclass(value):
        members = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
        return {
            "kind": "class",
            "module": value.__module__,
            "parameters": parameters(value),
            "members": {name: described(member) for name, member in members.items()},
            "attributes": assigned(value),
        }
    if inspect.isroutine(value):
        return {"kind": "function", "parameters": parameters(value)}
    try:
        return {"kind": "constant", "value": json.loads(json.dumps(value))}
    except TypeError:
        return {"kind": "constant"}


def surface() -> dict[str, dict[str, Any]]:
    """Return the descriptions of all public names of all modules."""
    return {
        module: {
            name: described(value)
            for name, value in vars(importlib.import_module(module)).items()
            if is_own(name, value)
        }
        for module in modules()
    }


if __name__ == "__main__":
    json.dump(surface(), sys.stdout)
