"""Response tokens, macros, and copies of content."""

from __future__ import annotations

import copy
import json
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import artifact, contents, decision_of, mboxes_of, request_for, rule
from targetry.device.personalize import labels_of, macro_key, variant_of
from targetry.device.ruleset import compile_artifact
from targetry.models import DeliveryRequest

META = {
    "activity.id": 125873,
    "activity.name": "Größe & <b>",
    "activity.type": "ab",
    "experience.id": 1,
    "experience.name": "Experience B",
    "location.id": 0,
    "location.name": "the-location",
    "location.type": "mbox",
    "offer.id": 631991,
    "offer.name": "/offers/b",
    "option.id": 3,
    "option.name": "Offer3",
    "audience.ids": [],
}
GEO = {
    "city": "San Francisco",
    "countryCode": "us",
    "stateCode": "ca",
    "latitude": 37.75,
    "longitude": -122.4,
}
GEO_TOKENS = {
    "geo.city": "San Francisco",
    "geo.country": "us",
    "geo.state": "ca",
    "geo.latitude": 37.75,
    "geo.longitude": -122.4,
}
METHOD = {"activity.decisioningMethod": "on-device"}


# ── labels ───


def test_labels_are_ids_and_names_of_activity_experience_and_offer() -> None:
    others = ("location.", "audience.", "option.name")
    assert labels_of(META) == {name: META[name] for name in META if not name.startswith(others)}
    rules = compile_artifact(mboxes_of(rule(meta=META)))
    assert rules.template(rules.mbox("hero").rules[0]).experience == (125873, 1)
    assert labels_of({"offer.id": None, "offer.name": ["x"], "option.id": 1.5}) == {"option.id": 1.5}


@each_case(
    "meta, variant",
    [
        ({"experience.name": "B", "experience.id": 1}, "B"),
        ({"experience.name": "", "experience.id": 1}, "1"),
        ({"experience.id": 0}, "0"),
        ({"experience.name": False}, "False"),
        ({}, None),
    ],
)
def test_variant_is_the_name_of_the_experience_else_its_id(meta: dict[str, Any], variant: str | None) -> None:
    assert variant_of(meta) == variant


# ── response tokens ───


def tokens(listed: list[str], meta: dict[str, Any] = META, geo: Any = None, mode: str = "execute") -> Any:
    document = mboxes_of(rule(meta=meta), responseTokens=listed)
    request = request_for(
        "hero", mode=mode, context={"channel": "web", **({"geo": geo} if geo is not None else {})}
    )
    answer = json.loads(decision_of(document, request).response.to_json())
    return answer[mode]["mboxes"][0]["options"][0]["responseTokens"]


@pytest.mark.parametrize("mode", ["execute", "prefetch"])
def test_decisioning_method_is_always_a_token(mode: str) -> None:
    assert tokens([], mode=mode) == METHOD


@each_case("name", [name for name in META if name != "audience.ids"])
def test_meta_token_is_given_if_listed_and_present(name: str) -> None:
    assert tokens([name]) == METHOD | {name: META[name]}
    assert tokens([name], {key: value for key, value in META.items() if key != name}) == METHOD


@each_case("name", GEO_TOKENS)
@each_case("mode", ["execute", "prefetch"])
def test_geo_token_is_given_as_sent_if_listed(name: str, mode: str) -> None:
    assert tokens([name], geo=GEO, mode=mode) == METHOD | {name: GEO_TOKENS[name]}
    assert tokens([], geo=GEO, mode=mode) == METHOD
    assert tokens([name], geo={"zip": "1"}, mode=mode) == METHOD
    assert tokens([name], mode=mode) == METHOD


@each_case(
    "listed", [["audience.ids"], ["profile.x", "company.name"], ["geo.zip", "geo.region"], [""], ["activity"]]
)
def test_other_tokens_are_not_known_on_device(listed: list[str]) -> None:
    assert tokens(listed, META | {"company.name": "acme"}, GEO) == METHOD


def test_method_cannot_be_overruled_by_the_meta() -> None:
    name = "activity.decisioningMethod"
    assert tokens([name], META | {name: "server-side"}) == METHOD


def test_every_option_has_computed_tokens() -> None:
    options = [
        {"type": "html", "content": "a", "responseTokens": {"stale": True}},
        {"type": "json", "content": {}},
    ]
    document = mboxes_of(
        rule(meta=META, consequence={"name": "hero", "options": options}), responseTokens=["offer.id"]
    )
    (mbox,) = decision_of(document, request_for("hero")).response.execute.mboxes  # type: ignore[union-attr, misc]
    assert [option.response_tokens for option in mbox.options or ()] == [METHOD | {"offer.id": 631991}] * 2


def test_options_of_views_and_of_a_page_load_have_tokens() -> None:
    place = rule(meta=META, name="home")
    document = artifact(
        {"target-global-mbox": [place]}, {"home": [place]}, responseTokens=["activity.id", "geo.city"]
    )
    request = request_for(prefetch={"views": [{}], "pageLoad": {}}, context={"channel": "web", "geo": GEO})
    prefetch = json.loads(decision_of(document, request).response.to_json())["prefetch"]
    for part in (*prefetch["views"], prefetch["pageLoad"]):
        expected = METHOD | {"activity.id": 125873, "geo.city": "San Francisco"}
        assert [option["responseTokens"] for option in part["options"]] == [expected]


# ── macros ───

PARAMETERS = {
    "user": "Ada",
    "count": 3,
    "ratio": 1.5,
    "whole": 2.0,
    "yes": True,
    "nothing": None,
    "blank": "",
    "user.tier": "gold",
    "name": "a parameter",
    "index": "another",
    "offer.name": "a parameter",
    "parameters": "listed",
    "activity": "x",
}

MACROS = {
    "${campaign.name}": "Größe & <b>",
    "${activity.name}": "Größe & <b>",
    "${a.b.activity.name}": "Größe & <b>",
    "${campaign.id}": "125873",
    "${recipe.id}": "1",
    "${recipe.name}": "Experience B",
    "${experience.name}": "Experience B",
    "${campaign.recipe.id}": "1",
    "${offer.name}": "/offers/b",
    "${offer.id}": "631991",
    "${option.name}": "Offer3",
    "${location.name}": "the-location",
    "${location.id}": "0",
    "${view.name}": "the-location",
    "${mbox.name}": "hero",
    "${name}": "hero",
    "${mbox.mbox.name}": "hero",
    "${index}": "7",
    "${mbox.index}": "7",
    "${user}": "Ada",
    "${mbox.user}": "Ada",
    "${profile.mbox.user}": "Ada",
    "${user.tier}": "gold",
    "${a.b.user.tier}": "gold",
    "${count}": "3",
    "${ratio}": "1.5",
    "${whole}": "2",
    "${yes}": "true",
    "${blank}": "",
    "${parameters}": "listed",
    "${mbox.parameters}": "listed",
    "${Campaign.name}": "Größe & <b>",
    "${CAMPAIGN.name}": "Größe & <b>",
    "${Recipe.id}": "1",
    # unknown names
    "${nothing}": "null",
    "${nope}": "${nope}",
    "${}": "${}",
    "${mbox}": "${mbox}",
    "${mbox.}": "${mbox.}",
    "${.}": "${.}",
    "${user.}": "${user.}",
    "${.user}": "${.user}",
    "${profile.user}": "${profile.user}",
    "${mbox.user.name}": "${mbox.user.name}",
    "${activity.Name}": "${activity.Name}",
    "${USER}": "${USER}",
    "${to_str}": "${to_str}",
    "${__class__}": "${__class__}",
    "${address}": "${address}",
    "${details}": "${details}",
    "${to_dict}": "${to_dict}",
    # no macros
    "$ {user}": "$ {user}",
    "${user": "${user",
    "{user}": "{user}",
    "$user": "$user",
    "${us er}": "${us er}",
    "${größe}": "${größe}",
    "${user-tier}": "${user-tier}",
    "$${user}": "$Ada",
    "${${user}}": "${Ada}",
}


def filled(text: Any, kind: str = "html", request: DeliveryRequest | None = None, meta: Any = META) -> Any:
    request = request or request_for(
        execute={"mboxes": [{"index": 7, "name": "hero", "parameters": PARAMETERS}]}
    )
    (content,) = contents(decision_of(mboxes_of(rule(content=text, kind=kind, meta=meta)), request))
    return content


@each_case("macro, value", MACROS.items())
def test_macro_has_the_value_of_activity_location_or_parameter(macro: str, value: str) -> None:
    assert filled(macro) == value
    assert filled(f"a {macro} b{macro}{macro}") == f"a {value} b{value}{value}"


def test_macro_reads_activity_then_location_then_parameters() -> None:
    assert filled("${user}", meta=META | {"user": "of the activity"}) == "of the activity"
    assert filled("${name}", meta=META | {"name": "of the activity"}) == "of the activity"
    assert filled("${user}", meta=META | {"user": None}) == "null"


def test_macro_index_is_a_parameter_without_an_index() -> None:
    request = request_for(execute={"mboxes": [{"name": "hero", "parameters": PARAMETERS}]})
    assert filled("${index}", request=request) == "another"
    assert filled("${index}", request=request_for(execute={"mboxes": [{"name": "hero"}]})) == "${index}"


@each_case("macro_first", [True, False])
def test_macro_is_filled_next_to_constant_options(macro_first: bool) -> None:
    options = [{"type": "html", "content": text} for text in ("${user}", "constant")]
    consequence = {"name": "hero", "options": options if macro_first else options[::-1]}
    request = request_for(execute={"mboxes": [{"index": 7, "name": "hero", "parameters": PARAMETERS}]})
    found = contents(decision_of(mboxes_of(rule(consequence=consequence)), request))
    assert found == (["Ada", "constant"] if macro_first else ["constant", "Ada"])


def test_macro_in_a_macro_value_is_not_filled() -> None:
    request = request_for(
        execute={"mboxes": [{"index": 1, "name": "hero", "parameters": {"user": "${index}"}}]}
    )
    assert filled("${user}", request=request) == "${index}"
    assert filled("${activity.name}", meta=META | {"activity.name": "a ${name}"}) == "a ${name}"


@each_case(
    "value, text",
    [
        (True, "true"),
        (1.0, "1"),
        (1e21, "1e+21"),
        ([1, [2]], "1,2"),
        ({}, "[object Object]"),
        (0, "0"),
        ("", ""),
    ],
)
def test_values_of_the_activity_are_written_as_javascript_writes_them(value: Any, text: str) -> None:
    assert filled("${activity.x}", meta=META | {"activity.x": value}) == text


@each_case("kind", ["json", "redirect", "dynamic", "future"])
@each_case("content", ["${user}", {"a": "${user}"}, ["${user}"]])
def test_only_html_has_macros(kind: str, content: Any) -> None:
    assert filled(content, kind) == content


@each_case("content", [{"a": "${user}"}, ["${user}"], 5, True, None])
def test_html_other_than_text_has_no_macros(content: Any) -> None:
    assert filled(content) == content


def test_macros_of_actions_are_in_the_text_of_their_content() -> None:
    actions = [
        {"type": "setHtml", "selector": "${user}", "content": "Hi ${user}"},
        {"type": "setStyle", "content": {"note": "${user}", "deep": {"a": ["${user}"]}}},
        {"type": "rearrange", "from": [1, {"to": 2}]},
        {"content": "plain"},
        {"content": None},
        "${user}",
        ["${user}", {"content": "${user}"}],
        5,
        None,
    ]
    expected = json.loads(json.dumps(actions))
    expected[0]["content"] = "Hi Ada"
    assert filled(actions, "actions") == expected


@each_case(
    "actions, given_",
    [
        ([], []),
        ([{"content": "Hi ${user}"}], [{"content": "Hi Ada"}]),
        ([{"content": "In ${experience.name}", "x": 1}], [{"content": "In Experience B", "x": 1}]),
        ([{"content": "${user}"}, {"content": "${index}"}], [{"content": "Ada"}, {"content": "7"}]),
        ([{"content": "plain"}, {"content": "${user}"}], [{"content": "plain"}, {"content": "Ada"}]),
        ([{"content": "plain"}, {"selector": "${user}"}], [{"content": "plain"}, {"selector": "${user}"}]),
        ([{"content": "${user}", "deep": [1]}], [{"content": "Ada", "deep": [1]}]),
        ([{"content": "plain", "deep": [1]}], [{"content": "plain", "deep": [1]}]),
    ],
)
def test_actions_are_filled_whichever_of_them_have_macros(actions: Any, given_: Any) -> None:
    assert filled(actions, "actions") == given_


@pytest.mark.parametrize("content", ["${user}", {"content": "${user}"}, 5])
def test_actions_other_than_a_list_are_unchanged(content: Any) -> None:
    assert filled(content, "actions") == content


def test_page_load_has_the_name_of_the_global_mbox_and_a_view_its_own() -> None:
    text = "${mbox.name} ${name} ${view.name} ${key} ${user}"
    place = rule(content=text, meta=META | {"location.name": "home"}, name="home")
    document = artifact({"everywhere": [place]}, {"home": [place]}, globalMbox="everywhere")
    parameters = {"user": "Ada"}
    request = request_for(
        prefetch={
            "pageLoad": {"parameters": parameters},
            "views": [{"name": "home", "key": "k", "parameters": parameters}],
        }
    )
    prefetch = decision_of(document, request).response.prefetch
    assert prefetch is not None
    assert prefetch.page_load is not None
    (option,) = prefetch.page_load.options or []
    assert option.content == "everywhere everywhere home ${key} Ada"
    (view,) = prefetch.views or []
    (option,) = view.options or []
    assert option.content == "home home home k Ada"


def test_view_without_a_name_leaves_the_macro() -> None:
    document = artifact(views={"home": [rule(content="${name}", name="home")]})
    prefetch = decision_of(document, request_for(prefetch={"views": [{}]})).response.prefetch
    assert prefetch is not None
    assert [option.content for view in prefetch.views or () for option in view.options or ()] == ["${name}"]


@each_case(
    "name, key",
    [
        ("", ""),
        ("user", "user"),
        ("campaign.name", "activity.name"),
        ("mycampaigns.recipes", "myactivitys.experiences"),
        ("a.b.c", "b.c"),
        ("mbox.a", "a"),
        ("a.mbox", "a"),
        ("mbox.mbox", ""),
        ("mboxes.a", "mboxes.a"),
        ("Mbox.a", "Mbox.a"),
        ("a..b", ".b"),
    ],
)
def test_macro_is_looked_up_by_its_last_two_parts_in_current_terms(name: str, key: str) -> None:
    assert macro_key(name) == key


NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.")


def filled_by_hand(text: str, values: dict[str, str]) -> str:
    result, at = "", 0
    while at < len(text):
        end = text.find("}", at)
        name = text[at + 2 : end]
        if text.startswith("${", at) and end > 0 and NAME_CHARACTERS.issuperset(name):
            parts = [part for part in name.split(".")[-2:] if part != "mbox"]
            result += values.get(".".join(parts), text[at : end + 1])
            at = end + 1
        else:
            result += text[at]
            at += 1
    return result


pieces = st.sampled_from(
    [
        "${user}",
        "${mbox.user}",
        "${b.user}",
        "${user.mbox}",
        "${name}",
        "${",
        "}",
        "$",
        "{",
        "user",
        "ä",
        ".",
        " ",
    ]
)


@given(st.lists(pieces, max_size=8).map("".join), st.text(st.characters(exclude_categories=()), max_size=5))
@example("${user}", "${user}")
@example("${user}", "\\g<0>")
@example("${user}", "\ud800")
def test_macros_are_found_and_the_text_around_them_stays_as_it_is(text: str, value: str) -> None:
    parameters = {"user": value, "b.user": "nested"}
    request = request_for(execute={"mboxes": [{"name": "hero", "parameters": parameters}]})
    expected = filled_by_hand(text, {**parameters, "name": "hero"})
    assert filled(text, request=request, meta={"activity.id": 1}) == expected


# ── content of its own ───

STRUCTURED = {
    "an object": ("json", {"a": 1, "b": "x"}),
    "an object in an object": ("json", {"a": {"b": {"c": 1}}}),
    "a list in an object": ("json", {"a": 1, "b": [1, [2]]}),
    "objects in a list": ("json", [{"a": 1}, {"b": [2]}, 3]),
    "an action": ("actions", [{"type": "setHtml", "selector": "#a", "content": "x"}]),
    "two actions, one with more in it": ("actions", [{"type": "a"}, {"type": "b", "content": {"c": ["d"]}}]),
    "an action with a macro": ("actions", [{"type": "a", "content": "${mbox.name}", "more": {"a": ["b"]}}]),
    "an action that is a list": ("actions", [["a", ["b"]], "c"]),
}


def spoil(value: Any) -> None:
    """Change every dict and list in a value."""
    for inner in list(value.values()) if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            spoil(inner)
    if isinstance(value, dict):
        value["spoilt"] = True
    else:
        value.append("spoilt")


@each_case("mode", ["execute", "prefetch"])
@each_case("kind, content", STRUCTURED.values(), ids=STRUCTURED)
def test_change_of_returned_content_does_not_reach_the_next_response(
    kind: str, content: Any, mode: str
) -> None:
    rules = compile_artifact(mboxes_of(rule(kind=kind, content=content)))
    request = request_for("hero", mode=mode)
    [first] = contents(decision_of(rules, request), mode)
    expected = copy.deepcopy(first)
    spoil(first)
    assert contents(decision_of(rules, request), mode) == [expected]
