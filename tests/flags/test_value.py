"""Values of flags: content of offers, attributes in it, and requested types."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import each_case
from targetry.device.logic.javascript import UNDEFINED
from targetry.flags.errors import FlagError
from targetry.flags.key import FlagKey
from targetry.flags.value import FlagType, as_type, type_of, value_at
from targetry.models import Option
from targetry.models.response import merged_content


@each_case(
    "contents, expected",
    [
        ([], UNDEFINED),
        (["hi"], "hi"),
        (['{"a": 1}'], '{"a": 1}'),  # text stays text
        ([{"a": 1}], {"a": 1}),
        ([{"a": 1, "b": 1}, {"b": 2}], {"a": 1, "b": 2}),
        (["text", {"a": 1}], {"a": 1}),
        (["one", "two"], "one"),
        ([[1, 2]], [1, 2]),
    ],
)
def test_content_of_options(contents: list[Any], expected: Any) -> None:
    assert merged_content([Option(content=content) for content in contents], UNDEFINED) == expected


@pytest.mark.parametrize(("path", "expected"), [((), {"a": {"b": 1}}), (("a",), {"b": 1}), (("a", "b"), 1)])
def test_attribute_is_found_by_its_path(path: tuple[str, ...], expected: Any) -> None:
    assert value_at({"a": {"b": 1}}, FlagKey("m", path)) == expected


@each_case("content", [{"a": 1}, "a", [1], None, {}])
def test_missing_attribute_is_not_found(content: Any) -> None:
    with pytest.raises(FlagError, match=r"the offer of mbox 'm' has no attribute 'a\.b'") as caught:
        value_at(content, FlagKey("m", ("a", "b")))
    assert caught.value.code == "FLAG_NOT_FOUND"


@each_case(
    "wanted, value, expected",
    [
        ("boolean", True, True),
        ("boolean", False, False),
        ("integer", 7, 7),
        ("integer", 7.0, 7),
        ("integer", 2.0**53, 2**53),
        ("integer", 10**400, 10**400),
        ("float", 0.5, 0.5),
        ("float", 3, 3.0),
        ("float", 2**60, float(2**60)),
        ("string", "", ""),
        ("object", {"a": [1]}, {"a": [1]}),
        ("object", [1], [1]),
        ("dict", {"a": 1}, {"a": 1}),
        ("list", [1], [1]),
    ],
)
def test_value_of_the_requested_type_is_returned(wanted: FlagType, value: Any, expected: Any) -> None:
    given = as_type(value, wanted)
    assert given == expected
    assert type(given) is type(expected)


@each_case(
    "wanted, value",
    [
        *[("boolean", value) for value in (0, 1, "true", None, {})],
        *[("integer", value) for value in (True, 1.5, 2.0**54, float("inf"), float("nan"), "1", None)],
        *[("float", value) for value in (False, 2**53 + 1, 10**400, "1.0", None)],
        *[("string", value) for value in (1, True, None, ["a"])],
        *[("dict", value) for value in ([], "{}", None)],
        *[("list", value) for value in ({}, "[]", None)],
        *[("object", value) for value in ("{}", 1, True, None)],
    ],
)
def test_value_of_another_type_is_a_mismatch(wanted: FlagType, value: Any) -> None:
    with pytest.raises(FlagError, match=f"not {wanted}") as caught:
        as_type(value, wanted)
    assert caught.value.code == "TYPE_MISMATCH"


@each_case(
    "value, name",
    [
        (True, "boolean"),
        (1, "integer"),
        (1.5, "float"),
        ("a", "string"),
        ({}, "object"),
        ([], "object"),
        (None, "null"),
    ],
)
def test_mismatch_names_the_type_of_the_value(value: Any, name: str) -> None:
    wanted: FlagType = "dict" if value == [] else "list"
    with pytest.raises(FlagError, match=f"the value is of type {name}, not {wanted}"):
        as_type(value, wanted)


@each_case(
    "default, expected",
    [
        (True, "boolean"),
        (1, "integer"),
        (1.0, "float"),
        ("", "string"),
        ({}, "dict"),
        ([], "list"),
        (None, None),
    ],
)
def test_type_is_that_of_the_default(default: Any, expected: str | None) -> None:
    assert type_of(default) == expected
