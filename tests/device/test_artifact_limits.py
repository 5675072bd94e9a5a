"""Artifacts beyond a limit are refused early, with the limit in the error."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import contents, decision_of, mboxes_of, request_for, rule
from support.examples import examples
from support.slow import slow
from targetry.device.artifact_limits import LimitExceededError, check_locations, check_values
from targetry.device.ruleset import compile_artifact
from targetry.errors import ArtifactError

SIZE = 12_000_000  # bytes of what is repeated


def repeated(item: str, size: int = SIZE) -> str:
    return ",".join([item] * (size // (len(item) + 1)))


def numbered_ids(item: str, count: int) -> str:
    return ",".join(item.replace("#", str(number)) for number in range(count))


def document(**fields: str) -> bytes:
    given = {"version": '"1"', **fields}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in given.items()) + "}").encode()


def of_rules(rules: str) -> bytes:
    return document(rules=f'{{"mboxes":{{"hero":[{rules}]}}}}')


RULE = '{"condition":true,"consequence":{},"meta":{}}'
LONG = "x" * 60
LOCAL = '{"condition":true,"consequence":{},"meta":{},"propertyTokens":[%s]}'

TOO_MUCH: dict[str, tuple[Callable[[], bytes], str]] = {
    "values": (lambda: of_rules(repeated("{}")), "the artifact holds more than 4000000 values"),
    "rules": (lambda: of_rules(repeated(RULE, 5_000_000)), "the artifact holds more than 100000 rules"),
    "rules in a short text": (
        lambda: of_rules(repeated("{}", 400_000)),
        "the artifact holds more than 100000 rules",
    ),
    "zeros as rules": (
        lambda: of_rules(repeated("0", 3_000_000)),
        "the artifact holds more than 100000 rules",
    ),
    "mboxes": (
        lambda: document(rules=f'{{"mboxes":{{{numbered_ids(chr(34) + "#" + chr(34) + ":[]", 900_000)}}}}}'),
        "the artifact holds more than 100000 locations",
    ),
    "views in a short text": (
        lambda: document(rules=f'{{"views":{{{numbered_ids(chr(34) + "#" + chr(34) + ":[]", 100_001)}}}}}'),
        "the artifact holds more than 100000 locations",
    ),
    "names": (
        lambda: document(remoteMboxes=f"[{repeated(chr(34) * 2, 400_000)}]"),
        "the artifact's list remoteMboxes holds more than 100000 values",
    ),
    "long names": (
        lambda: document(localViews=f"[{numbered_ids(chr(34) + LONG + '#' + chr(34), 1_000_001)}]"),
        "the artifact's list localViews holds more than 100000 values",
    ),
    "meta": (
        lambda: document(meta=f'{{"a":[{repeated("[]", 400_000)}]}}'),
        "the artifact's meta holds more than 100000 values",
    ),
    "meta of one name": (
        lambda: document(meta="{" + repeated('"a":0', 800_000) + "}"),
        "the artifact's meta holds more than 100000 values",
    ),
    "property tokens": (
        lambda: of_rules(",".join(LOCAL % numbered_ids(f'"{n}-#"', 1000) for n in range(101))),
        "the artifact's rules have more than 100000 property tokens",
    ),
}


LARGE = {"mboxes", "long names"}  # each has a smaller case that meets the same limit


@pytest.mark.parametrize("kind", [slow(kind)[0] if kind in LARGE else kind for kind in TOO_MUCH])
def test_artifact_above_a_limit_raises_with_the_limit(kind: str) -> None:
    make, message = TOO_MUCH[kind]
    text = make()
    started = time.process_time()
    with pytest.raises(ArtifactError) as caught:
        compile_artifact(text)
    assert str(caught.value) == message
    assert time.process_time() - started < 15


TOO_LARGE_RULES: dict[str, tuple[Callable[[], str], str]] = {
    "condition": (
        lambda: f'{{"condition":{{"and":[{repeated("[]", 135_000)}]}},"consequence":{{}},"meta":{{}}}}',
        "the condition has more than 20000 nodes",
    ),
    "consequence": (
        lambda: f'{{"condition":true,"consequence":{{"options":[{repeated("{}", 600_000)}]}},"meta":{{}}}}',
        "the rule holds more than 100000 values",
    ),
    "meta": (
        lambda: f'{{"condition":true,"consequence":{{}},"meta":{{"a":[{repeated("[]", 600_000)}]}}}}',
        "the rule holds more than 100000 values",
    ),
    "property tokens": (
        lambda: LOCAL % numbered_ids('"#"', 1001),
        "the rule has more than 1000 property tokens",
    ),
}


@each_case("make, reason", TOO_LARGE_RULES.values(), ids=TOO_LARGE_RULES)
def test_rule_beyond_a_limit_is_unusable_and_others_remain(make: Callable[[], str], reason: str) -> None:
    good = json.dumps(rule(content="good"))
    rules = compile_artifact(of_rules(f"{make()},{good}"))
    assert [one.reason for one in rules.unusable] == [reason]
    assert contents(decision_of(rules, request_for("hero"))) == ["good"]


def test_too_many_different_conditions_raise_with_the_limit() -> None:
    def equals(name: str, value: int) -> dict[str, Any]:
        return {"==": [{"var": f"mbox.{name}"}, value]}

    alike = mboxes_of(*(rule(n, {"or": [equals("a", n)] * 30}) for n in range(1, 50)))
    assert compile_artifact(alike, max_compiled_nodes=100).unusable == ()
    different = mboxes_of(*(rule(n, {"or": [equals(f"a{n}", 1)] * 30}) for n in range(1, 50)))
    message = r"^the artifact's conditions have more than 100 nodes in different shapes$"
    with pytest.raises(ArtifactError, match=message):
        compile_artifact(different, max_compiled_nodes=100)


def test_commas_and_brackets_within_texts_do_not_count() -> None:
    content = "a,b[c{" * 20_000
    rules = compile_artifact(mboxes_of(*(rule(number, content=content) for number in range(1, 60))))
    assert len(rules.mboxes["hero"].rules) == 59
    assert rules.unusable == ()


def test_index_of_many_properties_is_not_quadratic() -> None:
    many = [rule(number, propertyTokens=[f"p{number}"]) for number in range(1, examples(20_000) + 1)]
    started = time.process_time()
    rules = compile_artifact(mboxes_of(*many))
    location = rules.mboxes["hero"]
    for number in range(1, 201):
        ((_, activity_id, _, _),) = location.runs(f"p{number}")
        assert activity_id == str(number)
    assert location.runs("unknown") == ()
    assert time.process_time() - started < 15


def count_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count_of, value.values()))
    return 1 + sum(map(count_of, value)) if isinstance(value, list) else 1


texts = st.text(alphabet='a\\",[{}]', max_size=6)
json_values = st.recursive(
    st.none() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_values_are_counted_independent_of_texts(value: Any) -> None:
    data = json.dumps(value).encode()
    empty = data.count(b"[]") + data.count(b"{}")  # an empty container counts as one value more
    count = count_of(value) + empty
    check_values("it", data, count)
    if count_of(value) > 1:
        with pytest.raises(LimitExceededError, match=r"^it holds more than \d+ values$"):
            check_values("it", data, min(count_of(value) - 1, len(data) - 1))


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("end", [r"\\", r"\"", r"\\\"", r"\\\\", "x"])
def test_values_are_counted_across_the_pieces_of_a_long_text(before: int, end: str) -> None:
    text = "y" * ((1 << 20) - before) + end
    data = f'["{text}",1,"{text}",[2,3]]'.encode()
    assert json.loads(data)[3] == [2, 3]
    check_values("it", data, 7)
    with pytest.raises(LimitExceededError):
        check_values("it", data, 6)


def test_locations_and_rules_are_counted_exactly() -> None:
    check_locations("they hold", msgspec.Raw(b'{"a":[' + b"0," * 99_999 + b'0],"b":[],"c":[0]}'))
    with pytest.raises(LimitExceededError, match=r"^they hold more than 100000 rules$"):
        check_locations("they hold", msgspec.Raw(b'{"a":[' + b"0," * 100_002 + b"0]}"))
