"""Contents of artifacts, usable and unusable."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from support.device import artifact, contents, decision_of, mboxes_of, request_for, rule
from support.examples import examples
from targetry.device.artifact import (
    read_artifact,
    read_consequence,
    read_json,
    read_rule,
)
from targetry.device.obfuscation import obfuscate
from targetry.device.ruleset import RuleSet, compile_artifact
from targetry.errors import ArtifactError, ArtifactVersionError, TargetError

ORGANIZATION = "0DD934B85278256B0A490D44@AdobeOrg"
HELLO = mboxes_of(rule(content="hello"))


def text_of(document: Any) -> bytes:
    return json.dumps(document).encode()


def without(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


# ── the document as a whole ───


@each_case(
    "source",
    [
        HELLO,
        MappingProxyType({**HELLO, "meta": MappingProxyType({"a": 1})}),
        MappingProxyType({**HELLO, "meta": MappingProxyType({"a": 10**400, "b": "\ud83d"})}),
        json.dumps(HELLO),
        text_of(HELLO),
        bytearray(text_of(HELLO)),
        b" \r\n\t" + text_of(HELLO) + b"\n",
        json.dumps(HELLO, indent=2),
    ],
    ids=["dict", "mapping", "odd mapping", "text", "bytes", "bytearray", "spaces", "indented"],
)
def test_artifact_is_a_mapping_or_its_json(source: Any) -> None:
    assert contents(decision_of(compile_artifact(source), request_for("hero"))) == ["hello"]


DEFAULTS = {
    "globalMbox": ("global_mbox", "target-global-mbox"),
    "geoTargetingEnabled": ("geo_targeting_enabled", False),
    "responseTokens": ("response_tokens", frozenset()),
    "remoteMboxes": ("remote_mboxes", {}),
    "localMboxes": ("local_mboxes", frozenset()),
    "remoteViews": ("remote_views", {}),
    "localViews": ("local_views", frozenset()),
    "meta": ("meta", {}),
    "rules": ("mboxes", {}),
}


@each_case("name", DEFAULTS)
def test_field_that_is_absent_has_its_default(name: str) -> None:
    rules = compile_artifact(without(HELLO, name))
    attribute, default = DEFAULTS[name]
    assert getattr(rules, attribute) == default


def test_version_alone_is_an_artifact() -> None:
    rules = compile_artifact({"version": "1"})
    assert rules.version == "1"
    decision = decision_of(rules, request_for("hero"))
    assert decision.response.status == 206
    assert decision.remote_mboxes == ["hero"]


def test_unknown_fields_and_old_names_are_ignored() -> None:
    document = {
        **HELLO,
        "hasGeoTargeting": True,
        "targetAdminActivityUrls": ["x"],
        "future": {"a": [1, None]},
    }
    rules = compile_artifact(document)
    assert rules.geo_targeting_enabled is False
    assert rules.document() == document


def test_document_is_a_new_copy_each_time() -> None:
    rules = compile_artifact(text_of(HELLO))
    first = rules.document()
    first["rules"]["mboxes"].clear()
    assert rules.document() == HELLO


def test_fields_of_the_artifact_are_read() -> None:
    rules = compile_artifact({**HELLO, "meta": {"generatedAt": "2026-01-01T00:00:00Z"}})
    assert rules.generated_at == "2026-01-01T00:00:00Z"
    assert compile_artifact(HELLO).generated_at is None
    assert compile_artifact({**HELLO, "meta": {"generatedAt": 5}}).generated_at is None


VERSIONS = {
    "1": True,
    "1.0": True,
    "1.0.0": True,
    "1.99.7": True,
    "1.x": True,
    "01.0": True,
    "001": True,
    "": False,
    "0": False,
    "0.1": False,
    "2": False,
    "2.0.0": False,
    "10.0": False,
    "11": False,
    "v1": False,
    "X1": False,
    "1a": False,
    "-1": False,
    "٠١": False,
    ".1": False,
}


@each_case("version, is_ours", VERSIONS.items())
def test_major_version_has_to_be_one(version: str, is_ours: bool) -> None:
    document = {**HELLO, "version": version}
    if is_ours:
        assert compile_artifact(document).version == version
        return
    with pytest.raises(ArtifactVersionError) as caught:
        compile_artifact(document)
    assert str(caught.value) == (
        f"The decisioning artifact version ({version}) is not supported. "
        "This library is compatible with this major version: 1"
    )


@pytest.mark.parametrize("document", [without(HELLO, "version"), {**HELLO, "version": None}])
def test_artifact_without_version_is_rejected(document: Any) -> None:
    with pytest.raises(ArtifactVersionError):
        compile_artifact(document)


@each_case("version", [1, 1.0, True, ["1"], {"1": 1}])
def test_version_that_is_no_text_is_an_error(version: Any) -> None:
    with pytest.raises(ArtifactError, match="version"):
        compile_artifact({**HELLO, "version": version})


NOT_JSON = {
    "nothing": b"",
    "spaces": b"  \n",
    "text": b"rules",
    "html": b"<!doctype html><html></html>",
    "nul": b"\0" * 40,
    "no UTF-8": b'{"version": "1\xff"}',
    "UTF-16": '{"version": "1"}'.encode("utf-16"),
    "two documents": b'{"version": "1"}{"version": "1"}',
    "a trailing comma": b'{"version": "1",}',
    "single quotes": b"{'version': '1'}",
    "NaN": b'{"version": "1", "meta": {"a": NaN}}',
    "infinity": b'{"version": "1", "meta": {"a": Infinity}}',
    "a comment": b'{"version": "1" /* one */}',
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@each_case("data", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_text_other_than_json_raises_with_a_cause(data: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        compile_artifact(data)
    assert caught.value.reason


@each_case("document", ["1", '"1.0"', "null", "true", "[]", '[{"version": "1"}]'])
def test_json_other_than_an_object_raises(document: str) -> None:
    with pytest.raises(ArtifactError, match="shape"):
        compile_artifact(document)


def test_truncated_artifact_text_raises() -> None:
    data = text_of(HELLO)
    for end in range(len(data)):
        with pytest.raises(ArtifactError):
            compile_artifact(data[:end])


WRONG: dict[str, list[Any]] = {
    "globalMbox": [None, 5, [], {}],
    "geoTargetingEnabled": [None, "true", 1, []],
    "responseTokens": [None, "a", {}, [1], [None]],
    "remoteMboxes": [None, "a", {}, [1]],
    "localMboxes": [None, "a", {}, [["a"]]],
    "remoteViews": [None, "a", {}, [{}]],
    "localViews": [None, "a", {}, [True]],
    "meta": [None, "a", []],
    "rules": [
        *(None, "a", []),
        *({"mboxes": []}, {"mboxes": None}, {"mboxes": {"hero": {}}}, {"mboxes": {"hero": None}}),
        *({"views": []}, {"views": {"home": "x"}}),
    ],
}


@each_case("name, value", [(name, value) for name in WRONG for value in WRONG[name]])
def test_field_of_a_wrong_type_raises_with_its_name(name: str, value: Any) -> None:
    for source in ({**HELLO, name: value}, text_of({**HELLO, name: value})):
        with pytest.raises(ArtifactError, match=rf"\$\.{name}"):
            compile_artifact(source)


def deep(levels: int) -> Any:
    tree: Any = []
    for _ in range(levels):
        tree = [tree]
    return tree


def faults(source: Any) -> list[str]:
    """Return why the artifact, or rules of it, cannot be used."""
    try:
        return [one.reason for one in compile_artifact(source).unusable]
    except ArtifactError as error:
        return [error.reason]


@each_case("opening", ["[", '{"a":', '{"!":', '{"and":['])
@each_case("place", ["meta", "future", "condition", "consequence", "content"])
def test_json_nested_ten_thousand_deep_raises(place: str, opening: str) -> None:
    closing = opening.replace("[", "]").replace("{", "}").translate({ord(c): None for c in '"a!nd:'})[::-1]
    document: dict[str, Any] = mboxes_of(rule(content="DEEP")) if place == "content" else copy.deepcopy(HELLO)
    if place in ("condition", "consequence"):
        document["rules"]["mboxes"]["hero"][0][place] = "DEEP"
    elif place != "content":
        document[place] = {"a": "DEEP"}
    text = json.dumps(document).replace('"DEEP"', opening * 10_000 + "1" + closing * 10_000)
    (fault,) = faults(text)
    assert "deep" in fault


def test_dict_nested_ten_thousand_deep_raises() -> None:
    limit = sys.getrecursionlimit()
    with pytest.raises(ArtifactError, match="deep"):
        compile_artifact({**HELLO, "meta": {"a": deep(10_000)}})
    assert sys.getrecursionlimit() == limit


def test_deeply_nested_dict_with_a_lone_surrogate_raises() -> None:
    with pytest.raises(ArtifactError, match="deep"):
        compile_artifact({"future": ["\ud83d", deep(10_000)], **HELLO})


def test_recursive_dict_raises() -> None:
    document = copy.deepcopy(HELLO)
    document["meta"]["self"] = document
    with pytest.raises(ArtifactError):
        compile_artifact(document)


@pytest.mark.parametrize("value", [object(), 1j, lambda: None], ids=["object", "complex", "function"])
def test_dict_with_values_other_than_json_raises(value: Any) -> None:
    with pytest.raises(ArtifactError):
        compile_artifact({**HELLO, "meta": {"a": value}})


@each_case("value", [10**30, -(10**400), math.nan, math.inf, [math.nan, 10**30]])
def test_extreme_numbers_in_unused_fields_are_ignored(value: Any) -> None:
    rules = compile_artifact({**HELLO, "meta": {"a": value}})
    assert contents(decision_of(rules, request_for("hero"))) == ["hello"]


INFINITE = ["1e999", "-1e999", "1" + "0" * 400, "-" + "9" * 309, "9" * 5000, "1" + "0" * 309 + ".5", "1E+400"]
DIGITS = 309  # of the shortest integer that is always too large for a double
NUMBER_PLACES: dict[str, dict[str, Any]] = {
    "the meta": {**HELLO, "meta": {"x": "NUMBER", "y": ["NUMBER", 10**30]}},
    "an unknown field": {**HELLO, "x": "NUMBER"},
    "a rule's meta": mboxes_of(rule(meta={"activity.id": 1, "x": "NUMBER"})),
    "a condition that holds": mboxes_of(rule(condition={"!=": ["NUMBER", 1]})),
    "a response token": mboxes_of(
        rule(
            consequence={
                "options": [{"type": "html", "content": "hello", "responseTokens": {"x": "NUMBER"}}],
                "metrics": [{"type": "click", "eventToken": "t", "x": "NUMBER"}],
                "analytics": {"payload": {"pe": "NUMBER"}},
            }
        )
    ),
}


def with_number(document: Mapping[str, Any], number: str) -> bytes:
    return text_of(document).replace(b'"NUMBER"', number.encode())


@each_case("number", INFINITE, ids=lambda number: number[:6])
@each_case("document", NUMBER_PLACES.values(), ids=NUMBER_PLACES.keys())
def test_number_too_large_for_a_double_does_not_affect_other_content(
    document: dict[str, Any], number: str
) -> None:
    rules = compile_artifact(with_number(document, number))
    assert rules.unusable == ()
    decision = decision_of(rules, request_for("hero", trace={}), traced=True)
    assert contents(decision) == ["hello"]
    assert json.loads(decision.response.to_json())
    assert json.loads(msgspec.json.encode(rules.document()))


@each_case("spaces", range(40))
def test_number_too_large_for_a_double_is_infinite_wherever_it_starts(spaces: int) -> None:
    assert read_json(b"[" + b" " * spaces + b"9" * DIGITS + b", 1]") == [math.inf, 1]


@each_case("number", INFINITE, ids=lambda number: number[:6])
def test_number_too_large_for_a_double_is_infinite_and_null_in_responses(number: str) -> None:
    infinity = -math.inf if number.startswith("-") else math.inf
    content = {"price": "NUMBER", "stock": 12, "id": 10**30, "name": "cut \ud800"}
    document = {**mboxes_of(rule(kind="json", content=content)), "meta": {"x": "NUMBER"}}
    rules = compile_artifact(with_number(document, number))
    assert rules.meta == {"x": infinity}
    assert rules.document()["meta"] == {"x": infinity}
    decision = decision_of(rules, request_for("hero", trace={}), traced=True)
    assert contents(decision) == [{"price": infinity, "stock": 12, "id": 10**30, "name": "cut \ufffd"}]
    (mbox,) = json.loads(decision.response.to_json())["execute"]["mboxes"]
    assert mbox["options"][0]["content"]["price"] is None
    assert mbox["trace"]["artifact"]["x"] is None


@each_case(
    "condition, holds",
    [
        ({"<": [5, "NUMBER"]}, True),
        ({"<": ["NUMBER", 5]}, False),
        ({"==": ["NUMBER", "Infinity"]}, True),
        ({"<=": [0, {"var": "allocation"}, "NUMBER"]}, True),
        ({">": [{"var": "allocation"}, "NUMBER"]}, False),
    ],
)
def test_condition_compares_with_infinity(condition: Any, holds: bool) -> None:
    rules = compile_artifact(with_number(mboxes_of(rule(condition=condition)), "1e999"))
    assert contents(decision_of(rules, request_for("hero"))) == (["hello"] if holds else [])


def test_other_errors_are_reported_next_to_a_number_too_large() -> None:
    for fault in ('{"x": 1e999, "y": }', '{"x": 1e999, "y": NaN}', '{"x": [1e999, Infinity]}'):
        with pytest.raises(ArtifactError):
            compile_artifact(f'{{"version": "1", "meta": {fault}}}')
    wrong = mboxes_of(rule(consequence={"name": 5, "options": [{"content": "NUMBER"}]}), rule(2))
    rules = compile_artifact(with_number(wrong, "1e999"))
    assert [one.position for one in rules.unusable] == [0]
    assert "$.name" in rules.unusable[0].reason


HALVES = {
    "a high half": (r"\ud83d", "\ufffd"),
    "a low half": (r"\ude00", "\ufffd"),
    "in capitals": (r"\uDBFF", "\ufffd"),
    "amid a text": (r"cut \ud83d off", "cut \ufffd off"),
    "the wrong way round": (r"\ude00\ud83d", "\ufffd\ufffd"),
    "before a pair": (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    "after a pair": (r"\ud83d\ude00\ude00", "\U0001f600\ufffd"),
    "before another escape": (r"\ud83d\n\u0041", "\ufffd\nA"),
    "after a backslash": (r"\\\ud83d", "\\\ufffd"),
    "split by a backslash": (r"\ud83d\\ude00", "\ufffd\\ude00"),
    "beside the text of one": (r"\\ud83d \\\\ude00 \ud83d", "\\ud83d \\\\ude00 \ufffd"),
}


def written(document: Mapping[str, Any], value: str) -> bytes:
    """Return the document's text with `value`, as JSON writes it, in place of `HALF`."""
    return text_of(document).replace(b"HALF", value.encode())


@each_case("escaped, value", HALVES.values(), ids=HALVES.keys())
def test_lone_surrogate_is_a_replacement_character(escaped: str, value: str) -> None:
    text = written(mboxes_of(rule(content="HALF")), escaped)
    assert contents(decision_of(compile_artifact(text), request_for("hero"))) == [value]
    assert read_json(text)["rules"]["mboxes"]["hero"][0]["consequence"]["options"][0]["content"] == value


@each_case("escaped, value", HALVES.values(), ids=HALVES.keys())
def test_unescaped_lone_surrogates_are_replaced(escaped: str, value: str) -> None:
    document = mboxes_of(rule(content=json.loads(f'"{escaped}"')))
    for source in (document, json.dumps(document, ensure_ascii=False), json.dumps(document)):
        assert contents(decision_of(compile_artifact(source), request_for("hero"))) == [value]


WITH_A_HALF: dict[str, dict[str, Any]] = {
    "the meta": {**HELLO, "meta": {"HALF": "HALF"}},
    "an unknown field": {**HELLO, "HALF": ["HALF"]},
    "a name of remote mboxes": {**HELLO, "remoteMboxes": ["HALF"]},
    "a response token": {**HELLO, "responseTokens": ["HALF"]},
    "another mbox": artifact({**HELLO["rules"]["mboxes"], "HALF": [rule(2)]}),
    "a view": artifact(HELLO["rules"]["mboxes"], {"HALF": [rule(2, name="HALF")]}),
    "a rule's meta": mboxes_of(rule(meta={"activity.id": 1, "activity.name": "HALF", "HALF": 1})),
    "a rule's key": mboxes_of(rule(ruleKey="HALF")),
    "a member of a rule": mboxes_of({**rule(), "HALF": "HALF"}),
    "a condition that holds": mboxes_of(rule(condition={"!=": ["HALF", {"var": "mbox.HALF"}]})),
    "a condition that fails": mboxes_of(rule(2, {"==": ["HALF", {"var": "mbox.a"}]}), rule()),
    "an operator": mboxes_of(rule(2, {"HALF": [1]}), rule()),
    "another property": mboxes_of(rule(2, propertyTokens=["HALF"]), rule()),
    "an event token": mboxes_of(
        rule(consequence={"options": [{"type": "html", "content": "hello", "eventToken": "HALF"}]})
    ),
}


@each_case("hidden", [False, True], ids=["rules.json", "rules.bin"])
@each_case("document", WITH_A_HALF.values(), ids=WITH_A_HALF.keys())
def test_lone_surrogate_does_not_affect_other_content(document: dict[str, Any], hidden: bool) -> None:
    text = written(document, r"cut\ud83d")
    rules = compile_artifact(obfuscate(text, ORGANIZATION) if hidden else text, organization_id=ORGANIZATION)
    decision = decision_of(rules, request_for("hero", trace={}), traced=True)
    assert contents(decision) == ["hello"]
    assert msgspec.json.encode([msgspec.to_builtins(decision.response), rules.document()])


CONTENTS = {
    "html": ("html", "HALF", "\ufffd"),
    "html with a macro": ("html", "HALF ${activity.id}", "\ufffd 1"),
    "json": ("json", {"HALF": ["HALF", {"a": "HALF"}]}, {"\ufffd": ["\ufffd", {"a": "\ufffd"}]}),
    "a redirect": ("redirect", "https://example.org/HALF", "https://example.org/\ufffd"),
    "actions": (
        "actions",
        [{"type": "setHtml", "content": "HALF"}],
        [{"type": "setHtml", "content": "\ufffd"}],
    ),
}


@each_case("kind, content, given", CONTENTS.values(), ids=CONTENTS.keys())
def test_content_with_a_lone_surrogate_can_be_sent(kind: str, content: Any, given: Any) -> None:
    text = written(mboxes_of(rule(kind=kind, content=content)), r"\ud83d")
    decision = decision_of(compile_artifact(text), request_for("hero"))
    assert contents(decision) == [given]
    assert decision.response.to_json().encode()


def test_name_with_a_lone_surrogate_is_matched_as_sent() -> None:
    document = artifact({"HALF": [rule(name="HALF")]}, {"HALF": [rule(name="HALF")]})
    rules = compile_artifact(written(document, r"hero\ud83d"))
    decision = decision_of(rules, request_for("hero\ufffd", prefetch={"views": [{"name": "hero\ufffd"}]}))
    assert contents(decision) == ["hello"]
    assert decision.response.prefetch is not None
    assert [view.name for view in decision.response.prefetch.views or ()] == ["hero\ufffd"]


def test_error_in_a_text_with_a_lone_surrogate_is_reported_unchanged() -> None:
    with pytest.raises(ArtifactError, match=r"\$\.globalMbox"):
        compile_artifact(written({**HELLO, "meta": {"a": "HALF"}, "globalMbox": 5}, r"\ud83d"))
    with pytest.raises(ArtifactError, match="not JSON"):
        compile_artifact(rb'{"version": "1", "meta": {"a": "\ud83d" "b"}}')


def test_byte_order_mark_is_ignored() -> None:
    text = b"\xef\xbb\xbf" + text_of(HELLO)
    for source in (text, text.decode()):
        assert contents(decision_of(compile_artifact(source), request_for("hero"))) == ["hello"]


def test_pair_of_surrogates_is_one_character() -> None:
    source = text_of(mboxes_of(rule(content="a\U0001f600b")))
    assert b"\\ud83d\\ude00" in source
    assert contents(decision_of(compile_artifact(source), request_for("hero"))) == ["a\U0001f600b"]


def test_callers_document_is_copied() -> None:
    document = copy.deepcopy(HELLO)
    rules = compile_artifact(document)
    assert document == HELLO
    document["rules"]["mboxes"]["hero"][0]["consequence"]["options"][0]["content"] = "changed"
    document["remoteMboxes"].append("hero")
    decision = decision_of(rules, request_for("hero"))
    assert (contents(decision), decision.remote_mboxes) == (["hello"], [])


# ── rules ───


def bad(name: str, value: Any) -> dict[str, Any]:
    return {**rule(), name: value}


def in_consequence(name: str, value: Any) -> dict[str, Any]:
    made = rule()
    made["consequence"][name] = value
    return made


BAD_RULES: dict[str, Any] = {
    "no object": 5,
    "null": None,
    "a list": [],
    "empty": {},
    "no condition": without(rule(), "condition"),
    "no consequence": without(rule(), "consequence"),
    "no meta": without(rule(), "meta"),
    "meta a list": bad("meta", []),
    "meta null": bad("meta", None),
    "consequence a list": bad("consequence", []),
    "consequence null": bad("consequence", None),
    "ruleKey a list": bad("ruleKey", []),
    "activityId a list": bad("activityId", [1]),
    "propertyTokens a text": bad("propertyTokens", "a"),
    "propertyTokens of numbers": bad("propertyTokens", [1]),
    "name a number": in_consequence("name", 5),
    "options an object": in_consequence("options", {}),
    "options of texts": in_consequence("options", ["a"]),
    "an option's type a number": in_consequence("options", [{"type": 5}]),
    "an option's token a number": in_consequence("options", [{"eventToken": 5}]),
    "an option's tokens a list": in_consequence("options", [{"responseTokens": []}]),
    "metrics an object": in_consequence("metrics", {}),
    "a metric's type a list": in_consequence("metrics", [{"type": []}]),
    "a metric's selector a number": in_consequence("metrics", [{"selector": 5}]),
    "analytics a list": in_consequence("analytics", []),
    "analytics' payload a text": in_consequence("analytics", {"payload": "x"}),
    "an unknown operator": rule(condition={"method": ["x", "upper"]}),
    "an unknown operator inside": rule(condition={"and": [True, {"or": [{"nope": 1}]}]}),
    "too deep": rule(condition=deep(200)),
    "too many nodes": rule(condition=[0] * 20_001),
    "a split without an activity": rule(
        condition={"<": [{"var": "allocation"}, 50]}, activityId=None, meta={}
    ),
}


@each_case("name", BAD_RULES)
def test_unusable_rule_does_not_affect_other_rules(name: str) -> None:
    good = rule(2, content="good")
    document = artifact(
        {"hero": [good, BAD_RULES[name], rule(3, content="never")], "cart": [rule(4, content="cart")]}
    )
    for source in (document, text_of(document)):
        rules = compile_artifact(source)
        (unusable,) = rules.unusable
        assert unusable[:3] == ("mbox", "hero", 1)
        assert unusable.reason
        assert str(unusable).startswith("rule 1 of mbox 'hero': ")
        decision = decision_of(rules, request_for("hero", "cart"))
        assert contents(decision) == ["good", "cart"]
        assert decision.remote_mboxes == ["hero"]
        assert decision.response.status == 206


def test_location_with_only_an_unusable_rule_is_remote() -> None:
    decision = decision_of(mboxes_of(BAD_RULES["an unknown operator"]), request_for("hero"))
    assert decision.response.execute is not None
    assert contents(decision) == []
    assert decision.remote_mboxes == ["hero"]


def test_unusable_rule_of_a_view_does_not_make_an_mbox_remote() -> None:
    document = artifact(
        {"home": [rule(name="home")]}, {"home": [{}, rule(name="home")], "cart": [rule(name="cart")]}
    )
    rules = compile_artifact(document)
    assert [(one.location_type, one.location, one.position) for one in rules.unusable] == [
        ("view", "home", 0)
    ]
    request = request_for("home", prefetch={"views": [{"name": "home"}, {"name": "cart"}]})
    decision = decision_of(rules, request)
    assert (decision.remote_mboxes, decision.remote_views) == ([], ["home"])


def test_remote_location_with_bad_rules_is_named_once() -> None:
    rules = compile_artifact(artifact({"hero": [{}, {}]}, remoteMboxes=["cart", "hero"]))
    assert list(rules.remote_mboxes) == ["cart", "hero"]
    assert [one.position for one in rules.unusable] == [0, 1]


LENIENT: dict[str, dict[str, Any]] = {
    "a ruleKey that is a number": bad("ruleKey", 5),
    "no ruleKey": without(rule(), "ruleKey"),
    "no activityId": without(rule(), "activityId"),
    "an activityId that is a text": bad("activityId", "1"),
    "no tokens": bad("propertyTokens", None),
    "a seed": bad("seed", "x"),
    "an unknown member": bad("future", [1]),
    "meta with unknown members": bad("meta", {"activity.id": 1, "other": {"a": 1}}),
    "meta without an audience": bad("meta", {"activity.id": 1}),
    "no meta at all in it": bad("meta", {}),
    "an unknown option type": in_consequence("options", [{"type": "future", "content": "hello"}]),
    "an option with unknown members": in_consequence(
        "options", [{"type": "html", "content": "hello", "x": 1}]
    ),
    "no metrics": in_consequence("metrics", None),
    "an unknown metric type": in_consequence("metrics", [{"type": "hover", "x": 1}]),
}


@each_case("name", LENIENT)
def test_rule_can_lack_optional_fields_and_have_unknown_ones(name: str) -> None:
    rules = compile_artifact(mboxes_of(LENIENT[name]))
    assert rules.unusable == ()
    assert contents(decision_of(rules, request_for("hero"))) == ["hello"]


@each_case("condition", [1, "yes", {}, {"a": 1, "b": 2}, [0], {"!": [False]}])
def test_truthy_json_is_a_condition_that_always_holds(condition: Any) -> None:
    assert contents(decision_of(mboxes_of(rule(condition=condition)), request_for("hero"))) == ["hello"]


@each_case("condition", [0, "", None, False, [], {"!": [True]}])
def test_falsy_json_is_a_condition_that_never_holds(condition: Any) -> None:
    rules = compile_artifact(mboxes_of(rule(condition=condition)))
    assert rules.unusable == ()
    assert contents(decision_of(rules, request_for("hero"))) == []


def test_empty_consequence_is_usable() -> None:
    decision = decision_of(mboxes_of(rule(consequence={})), request_for("hero"))
    assert decision.response.execute is not None
    (mbox,) = decision.response.execute.mboxes or []
    assert (mbox.name, mbox.options, mbox.metrics) == ("hero", [], None)


poison = st.sampled_from(
    ["__class__", "__import__", "$ref", "version", "rules", "", "\0", "a" * 300, "hero"]
) | st.text(max_size=5)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(poison, inner, max_size=4),
    max_leaves=12,
)


@given(
    anything,
    st.sampled_from(["document", "rules", "rule", "condition", "consequence", "option", "meta", *DEFAULTS]),
)
def test_any_artifact_is_rejected_or_usable(value: Any, place: str) -> None:
    document: Any = copy.deepcopy(HELLO)
    first = document["rules"]["mboxes"]["hero"][0]
    if place == "document":
        document = value
    elif place == "rules":
        document["rules"]["mboxes"] = value
    elif place == "rule":
        document["rules"]["mboxes"]["hero"].insert(0, value)
    elif place in ("condition", "consequence", "meta"):
        first[place] = value
    elif place == "option":
        first["consequence"]["options"] = [value]
    else:
        document[place] = value
    if not isinstance(document, dict):
        return
    try:
        rules = compile_artifact(document)
    except ArtifactError:
        return
    decision_of(rules, request_for("hero"))
    decision_of(rules, request_for("hero", mode="prefetch", trace={}), traced=True)


@settings(max_examples=examples(200))
@given(st.data())
def test_damaged_bytes_are_rejected_or_usable(data: st.DataObject) -> None:
    source = bytearray(text_of(HELLO))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(source) - 1))
        source[at] = data.draw(st.integers(0, 255))
    try:
        rules = compile_artifact(bytes(source), organization_id=ORGANIZATION)
    except ArtifactError:
        return
    decision_of(rules, request_for("hero"))


# ── the parts' own readers ───


def test_errors_of_the_parts_say_which_part_it_is() -> None:
    for read, what in [(read_rule, "the rule"), (read_consequence, "the consequence")]:
        with pytest.raises(ArtifactError, match=f"{what} is not of the expected shape"):
            read(msgspec.Raw(b"5"))
    with pytest.raises(ArtifactError, match="the JSON is not JSON"):
        read_json(b"{")
    with pytest.raises(ArtifactError, match="the artifact is not JSON"):
        read_artifact(b"{")
    with pytest.raises(ArtifactError, match="the JSON is nested too deeply"):
        read_json(b"[" * 100_000)


def test_artifact_error_is_a_target_error() -> None:
    assert issubclass(ArtifactError, TargetError)
    assert isinstance(compile_artifact(HELLO), RuleSet)
