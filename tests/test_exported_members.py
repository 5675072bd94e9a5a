"""The face: what `targetry` says it exports is what can be imported, and nothing else is."""

from __future__ import annotations

import types

import pytest

import targetry
from support.cases import each_case
from targetry import models


@each_case("name", targetry.__all__)
def test_exported_names_are_importable(name: str) -> None:
    assert getattr(targetry, name) is not None


def test_importable_names_are_exported() -> None:
    public = {
        name
        for name, value in vars(targetry).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - {"TYPE_CHECKING", "annotations"} == set(targetry.__all__) - {
        "__version__",
        "AsyncTargetClient",
    }


def test_nothing_is_exported_twice() -> None:
    assert len(set(targetry.__all__)) == len(targetry.__all__)


def test_all_models_are_exported() -> None:
    assert set(models.__all__) <= set(targetry.__all__)
    for name in models.__all__:
        assert getattr(targetry, name) is getattr(models, name)


@each_case(
    "name",
    [
        "TargetClient",
        "AsyncTargetClient",
        "DeliveryRequest",
        "MboxRequest",
        "TargetError",
        "OptionError",
        "Visitor",
    ],
)
def test_names_of_every_program_are_there(name: str) -> None:
    assert name in targetry.__all__


def test_star_import_exports_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from targetry import *", namespace)  # noqa: S102
    assert set(targetry.__all__) <= set(namespace)


def test_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'targetry' has no attribute 'Nope'"):
        _ = targetry.Nope


def test_every_exception_is_a_child_of_the_root_but_the_models_own() -> None:
    exported = [value for name in targetry.__all__ if isinstance(value := getattr(targetry, name), type)]
    exceptions = {one for one in exported if issubclass(one, Exception) and not issubclass(one, Warning)}
    others = {one.__name__ for one in exceptions if not issubclass(one, targetry.TargetError)}
    assert others == {"OpenApiException", "ConstraintError"}
    assert issubclass(targetry.TargetryWarning, UserWarning)
