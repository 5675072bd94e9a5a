"""Flag keys: an mbox, or an attribute of its JSON offer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry import OptionError
from targetry.flags.errors import FlagError
from targetry.flags.key import FlagKey, FlagKeys, parse_key


@each_case(
    "key, expected",
    [
        ("hero", FlagKey("hero")),
        ("checkout-flags:oneClick", FlagKey("checkout-flags", ("oneClick",))),
        ("checkout-flags:payLater.enabled", FlagKey("checkout-flags", ("payLater", "enabled"))),
        ("home/hero", FlagKey("home/hero")),
        ("a b", FlagKey("a b")),
        ("a.b:c", FlagKey("a.b", ("c",))),
        ("a:b:c", FlagKey("a", ("b:c",))),
        ("#\0", FlagKey("#\0")),
        ("x" * 10_000, FlagKey("x" * 10_000)),
    ],
)
def test_key_is_parsed_into_mbox_and_attribute(key: str, expected: FlagKey) -> None:
    assert FlagKeys().parse(key) == expected


@each_case("key", ["", ":", ":x", "a:", "a:b..c", "a:.b", "a:b."])
def test_key_with_an_empty_part_is_not_found(key: str) -> None:
    with pytest.raises(FlagError, match="is no flag key: mbox") as caught:
        FlagKeys().parse(key)
    assert caught.value.code == "FLAG_NOT_FOUND"


def test_message_quotes_the_beginning_of_a_long_key() -> None:
    with pytest.raises(FlagError) as caught:
        FlagKeys().parse(":" + "x" * 10_000)
    assert len(str(caught.value)) < 300


def test_separator_is_configurable() -> None:
    keys = FlagKeys(separator="|")
    assert keys.parse("a:b|c.d") == FlagKey("a:b", ("c", "d"))


@each_case("separator", ["", "::", "/", "#", "?", "%", ".", "\n", 1, None])
def test_invalid_separator_raises(separator: Any) -> None:
    with pytest.raises(OptionError, match="separator"):
        FlagKeys(separator=separator)


def test_alias_is_resolved_before_a_key_is_parsed() -> None:
    keys = FlagKeys(flags={"new-checkout": "checkout-flags:oneClick", "a:b": "c"})
    assert keys.parse("new-checkout") == FlagKey("checkout-flags", ("oneClick",))
    assert keys.parse("a:b") == FlagKey("c")


@each_case("flags", [[], "a", {"a": ":"}, {"a": 1}, {1: "a"}, {"": "a"}])
def test_alias_with_invalid_key_raises_with_its_path(flags: Any) -> None:
    with pytest.raises(OptionError, match="flags"):
        FlagKeys(flags=flags)


@given(st.text())
def test_any_text_is_a_key_or_raises_flag_not_found(key: str) -> None:
    mbox, _, path = key.partition(":")
    if not mbox or (":" in key and not all(path.split("."))):
        with pytest.raises(FlagError):
            parse_key(key)
    else:
        parsed = parse_key(key)
        assert parsed.mbox + (":" + ".".join(parsed.path) if parsed.path else "") == key
