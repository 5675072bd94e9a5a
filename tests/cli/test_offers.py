from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cli import json_output, run, text_output, write_artifact
from support.device import artifact, mboxes_of, rule


def test_each_option_is_a_row() -> None:
    text = text_output("offers", "--mbox", "hero", "--mbox", "checkout-flags", "--tnt-id", "ada", width=160)

    assert "visitor ada\nclient acme · " in text
    assert re.search('hero +Hero: autumn sale › Free +<section class="hero"', text)
    assert '{"oneClick": false, "steps": 3, "payLater": {"enabled": false}}' in text


def test_json_is_the_response_of_the_delivery_api() -> None:
    answer = json_output("offers", "--mbox", "checkout-flags", "--tnt-id", "ada")

    (mbox,) = answer["response"]["execute"]["mboxes"]
    assert answer["response"]["status"] == 200
    assert answer["response"]["id"] == {"tntId": "ada"}
    assert (mbox["name"], mbox["options"][0]["content"]["steps"]) == ("checkout-flags", 3)
    assert answer["meta"] == {"decisioning_method": "on-device", "remote_mboxes": [], "remote_views": []}


def test_prefetched_offers_come_with_their_event_tokens() -> None:
    answer = json_output("offers", "--mbox", "hero", "--page-load", "--prefetch", "--tnt-id", "ada")

    assert "execute" not in answer["response"]
    (mbox,) = answer["response"]["prefetch"]["mboxes"]
    assert mbox["options"][0]["eventToken"]
    assert answer["response"]["prefetch"]["pageLoad"] == {"options": []}


def test_views_are_prefetched_one_or_all() -> None:
    one = json_output("offers", "--view", "cart", "--mbox", "hero")["response"]
    every = json_output("offers", "--view", "*")["response"]

    assert [view["name"] for view in one["prefetch"]["views"]] == ["cart"]
    assert [mbox["name"] for mbox in one["execute"]["mboxes"]] == ["hero"]
    assert [view["name"] for view in every["prefetch"]["views"]] == ["cart", "confirmation"]


def test_decision_uses_the_given_time() -> None:
    def content(time: str) -> str:
        answer = json_output("offers", "--mbox", "promo", "--time", time)
        (mbox,) = answer["response"]["execute"]["mboxes"]
        return str(mbox["options"][0]["content"])

    assert "Friday evening" in content("2026-12-04T20:15")
    assert "Friday evening" in content("2026-12-04T15:15-05:00")
    assert "Gift cards" in content("2026-12-04T12:00Z")


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--tnt-id", "a.28_0"], {"tntId": "a.28_0"}),
        (["--third-party-id", "b"], {"thirdPartyId": "b"}),
        (["--ecid", "c"], {"marketingCloudVisitorId": "c"}),
    ],
    ids=["tntId", "thirdPartyId", "ECID"],
)
def test_given_visitor_id_is_used(arguments: list[str], value: dict[str, str]) -> None:
    assert json_output("offers", "--mbox", "hero", *arguments)["response"]["id"] == value


def test_generated_visitor_id_is_printed() -> None:
    text = text_output("offers", "--mbox", "hero")
    visitor = text.split()[1]

    assert len(visitor) == 36
    assert (
        text_output("offers", "--mbox", "hero", "--tnt-id", visitor).splitlines()[2:] == text.splitlines()[2:]
    )


def test_everything_about_the_visitor_reaches_the_rules(tmp_path: Path) -> None:
    asks = {
        "and": [
            {"==": [{"var": "user.browserType"}, "firefox"]},
            {"==": [{"var": "page.path"}, "/cart"]},
            {"==": [{"var": "referring.domain"}, "before.example"]},
            {"==": [{"var": "geo.country"}, "DE"]},
            {"==": [{"var": "geo.region"}, "BE"]},
            {"==": [{"var": "geo.city"}, "BERLIN"]},
            {"<": [52, {"var": "geo.latitude"}, 53]},
            {"<": [13, {"var": "geo.longitude"}, 14]},
            {"==": [{"var": "mbox.plan"}, "a=b"]},
        ]
    }
    path = write_artifact(tmp_path, mboxes_of(rule(1, asks, content="all of it", propertyTokens=["p"])))
    arguments = [
        *("--user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0"),
        *("--url", "https://acme.example/cart", "--referrer", "https://before.example/"),
        *("--geo", "country=DE,region=BE,city=Berlin", "--geo", "latitude=52.5,longitude=13.4"),
        *("--param", "plan=a=b", "--property", "p"),
    ]

    assert "all of it" in text_output("offers", "--artifact", path, "--mbox", "hero", *arguments)
    assert "all of it" not in text_output("offers", "--artifact", path, "--mbox", "hero", *arguments[:-2])


def test_client_code_is_that_of_the_artifact_by_default(tmp_path: Path) -> None:
    path = write_artifact(tmp_path, mboxes_of(rule(), meta={"clientCode": "shopkeepers"}))

    assert "client shopkeepers · " in text_output("offers", "-a", path, "--mbox", "hero")
    assert "client others · " in text_output("offers", "-a", path, "--mbox", "hero", "--client", "others")


def test_artifact_without_a_client_code_is_accepted(tmp_path: Path) -> None:
    assert "client targetry · " in text_output(
        "offers", "-a", write_artifact(tmp_path, mboxes_of(rule(), meta={})), "--mbox", "hero"
    )


def test_remote_location_is_noted() -> None:
    result = run("offers", "--mbox", "recommendations", "--mbox", "heroo", "--view", "home")

    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "note: mbox 'recommendations' has activities that only the Delivery API can decide",
        "note: mbox 'heroo' is not in the artifact; did you mean 'hero'?",
        "note: view 'home' is not in the artifact",
    ]


def test_unusable_rule_is_noted(tmp_path: Path) -> None:
    path = write_artifact(tmp_path, mboxes_of(rule(1, {"guess": 1})))

    assert (
        "note: In the artifact 1 of 1 rules are not used: rule 0 of mbox 'hero': unknown operator 'guess'"
        in run("offers", "-a", path, "--mbox", "hero", width=200).stderr
    )


@pytest.mark.parametrize(
    ("made", "offer"),
    [
        (rule(content={"a": [1, "ü"]}, kind="json"), '{"a": [1, "ü"]}'),
        (rule(content="https://acme.example/", kind="redirect"), "https://acme.example/"),
        (
            rule(content=[{"type": "setHtml", "selector": "H1", "content": "Hi"}, 7], kind="actions"),
            "setHtml H1: Hi\n",
        ),
        (rule(content="[bold]not markup[/]"), "[bold]not markup[/]"),
        (rule(content="a\x1b[31mred"), "a\\x1b[31mred"),
        (rule(content="x" * 2_000), "x… (2,000 characters)"),
        (rule(1, False), "nothing"),
        (rule(1, consequence={"name": "hero", "options": [{"eventToken": "t"}]}), "default content"),
    ],
    ids=["json", "redirect", "actions", "markup", "terminal commands", "long", "no match", "default content"],
)
def test_offer_is_shown_by_its_type(tmp_path: Path, made: dict[str, object], offer: str) -> None:
    text = text_output("offers", "-a", write_artifact(tmp_path, mboxes_of(made)), "--mbox", "hero", width=600)
    lines = [line.strip() for line in text.splitlines()]

    assert offer in "\n".join(lines)


def test_every_option_of_a_page_load_is_a_row(tmp_path: Path) -> None:
    document = artifact({"target-global-mbox": [rule(1, content="one"), rule(2, content="two")]})
    text = text_output("offers", "-a", write_artifact(tmp_path, document), "--page-load")

    assert [line.split()[-1] for line in text.splitlines() if "page load" in line] == ["one", "two"]
