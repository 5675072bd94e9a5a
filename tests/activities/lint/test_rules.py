"""Each lint rule finds its mistake once, at its position, and not in a twin without the mistake.

A case has the file `a.yaml`, with `«` where the finding stands, and a twin of it. `targetry.yaml`
is given where it differs from the usual one; the finding is there if it has the `«`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from support.cases import each_case
from targetry.activities.lint.catalog import RULES
from targetry.activities.lint.checker import check_folder
from targetry.activities.model.files import ActivityFolder

NOW_MS = 1_795_000_000_000  # November 2026
SETTINGS = "client: acme\n"
HEAD = "key: a\ntype: xt\n"
OFFER = "  - {key: only, offers: [{mbox: hero, html: <b>a</b>}]}\n"
XT = f"{HEAD}experiences:\n{OFFER}"


class Case(NamedTuple):
    """Files with a finding, and the same files without it."""

    code: str
    wrong: str
    right: str
    settings: str = SETTINGS
    right_settings: str = ""
    more: Mapping[str, str] = MappingProxyType({})
    level: str = ""
    also: Sequence[str] = ()
    is_for_adobe: bool = False


def audience(wrong: str, right: str) -> tuple[str, str]:
    """Return the files of an activity with two audiences."""
    return f"{XT}audience: {wrong}\n", f"{XT}audience: {right}\n"


def split(wrong: str, right: str) -> tuple[str, str]:
    """Return the files of an A/B activity with the two texts in it."""
    return f"key: a\n{wrong}", f"key: a\n{right}"


def one_offer(wrong: str, right: str) -> tuple[str, str]:
    """Return the files of an activity with one offer."""
    head = f"{HEAD}experiences:\n  - key: only\n    offers:\n      - "
    return f"{head}{wrong}\n", f"{head}{right}\n"


AB = """\
experiences:
  - {key: one, share: 50, offers: [{mbox: hero, html: a}]}
  - {key: two, share: 50, offers: [{mbox: hero, html: b}]}
"""
OTHER = "key: b\ntype: xt\nexperiences:\n  - {key: only, offers: [{mbox: hero}]}\n"
LOCK = """{
  "version": 1,
  "activities": {
    "%s": {"id": %d, "traffic": 10000, "experiences": {"only": {"id": 0, "windows": []}}}
  }
}
"""

CASES = {
    "a key given twice": Case("TA001", f"{XT}«key: b\n", XT),
    "an unknown key": Case("TA002", f"{XT}«priorty: 1\n", f"{XT}priority: 1\n"),
    "two equal ids": Case(
        "TA003", f"{XT}id: 7\n", XT, more={"b.yaml": OTHER.replace("hero", "b") + "id: 7\n"}
    ),
    "an unknown property": Case(
        "TA004",
        f"{XT}properties: [«wbe]\n",
        f"{XT}properties: [web]\n",
        f"{SETTINGS}properties: {{web: 00000000-0000-0000-0000-000000000001}}\n",
    ),
    "a reserved name": Case(
        "TA004",
        f"{XT}audience: url\n",
        f"{XT}audience: us\n",
        f'{SETTINGS}audiences:\n  url: «geo.country == "US"\n',
        f'{SETTINGS}audiences:\n  us: geo.country == "US"\n',
    ),
    "a missing file": Case(
        "TA005",
        *one_offer("{mbox: hero, html: {file: «a.html}}", "{mbox: hero, html: {file: b.html}}"),
        more={"b.html": "b"},
    ),
    "a rule that the engine refuses": Case(
        "TA006",
        XT,
        XT,
        "«client: acme\nverbatim:\n  - {kind: mboxes, name: m, rules: [{condition: {no: 1}}]}\n",
        SETTINGS,
    ),
    "a lock out of date": Case("TA007", f"{XT}id: 8\n", XT, more={"targetry.lock": LOCK % ("a", 7)}),
    "a syntax error": Case("TA101", *audience('page.url_lc «contains "x"', 'contains(page.url_lc, "x")')),
    "an unknown operator": Case(
        "TA102", *audience('user.browserType «is "chrome"', 'user.browserType == "chrome"')
    ),
    "an unknown fact": Case("TA103", *audience('geo.«contry == "US"', 'geo.country == "US"')),
    "an unknown name": Case(
        "TA104",
        *audience('|\n  geo.country == "US" and\n  «foo > 1', '|\n  geo.country == "US" and\n  mbox.foo > 1'),
    ),
    "an unknown function": Case("TA105", *audience('"«len(mbox.x) > 2"', '"max(mbox.x) > 2"')),
    "an audience without visitors": Case(
        "TA110",
        *audience(
            '«geo.country == "US" and geo.country == "CA"', 'geo.country == "US" or geo.country == "CA"'
        ),
    ),
    "an experience outside of the activity": Case(
        "TA110",
        f'{HEAD}audience: geo.country == "US"\nexperiences:\n  - {{key: only, audience: «geo.country == "CA", offers: [{{mbox: hero}}]}}\n',
        f'{HEAD}audience: geo.country == "US"\nexperiences:\n  - {{key: only, audience: geo.region == "CA", offers: [{{mbox: hero}}]}}\n',
    ),
    "an audience of everybody": Case("TA111", *audience("«mbox.x or not mbox.x", "True")),
    "a text and a number": Case(
        "TA112",
        *audience("'\"mac\" == mbox.x or «platform == 5'", '\'"mac" == mbox.x or platform == "5"\''),
        level="warning",
    ),
    "a number and a text": Case(
        "TA112",
        *audience('mbox.x or «user.browserVersion == "new"', 'mbox.x or user.browserVersion == "120"'),
        level="error",
    ),
    "capitals in a lower-case fact": Case(
        "TA112", *audience('«contains(page.url_lc, "Sale")', 'contains(page.url_lc, "sale")'), level="error"
    ),
    "capitals in a lower-case parameter": Case(
        "TA112", *audience('«mbox.tier_lc in ["Gold"]', 'mbox.tier_lc in ["gold"]'), level="warning"
    ),
    "a country in lower case": Case(
        "TA113", *audience('mbox.x and «geo.country == "us"', 'mbox.x and geo.country == "US"')
    ),
    "a city with a space": Case(
        "TA113", *audience('«geo.city == "SAN JOSE"', 'geo.city in ["SAN JOSE", "SANJOSE"]')
    ),
    "a time without offset": Case(
        "TA114",
        f'{XT}schedule: {{from: «"2026-01-01T00:00:00"}}\n',
        f'{XT}schedule: {{from: "2026-01-01T00:00:00Z"}}\n',
    ),
    "an audience by allocation": Case(
        "TA115", *audience("mbox.x or «allocation < 5", "mbox.x or mbox.allocation < 5")
    ),
    "an activity that has ended": Case(
        "TA116",
        f"{XT}schedule: {{to: «2026-01-01T00:00:00Z}}\n",
        f"{XT}schedule: {{to: 2027-01-01T00:00:00Z}}\n",
    ),
    "an activity of a far future": Case(
        "TA116",
        f"{XT}schedule: {{from: «2036-01-01T00:00:00Z}}\n",
        f"{XT}schedule: {{from: 2027-01-01T00:00:00Z}}\n",
    ),
    "a member of two groups": Case(
        "TA117",
        XT,
        XT,
        f"{SETTINGS}groups:\n  g: {{members: [{{activity: a, share: 50}}]}}\n  h: {{members: [{{activity: «a, share: 50}}]}}\n",
        f"{SETTINGS}groups:\n  g: {{members: [{{activity: a, share: 50}}]}}\n",
    ),
    "two primary metrics": Case(
        "TA118",
        XT,
        XT,
        f"{SETTINGS}metrics:\n  revenue: {{primary: «true}}\n  orders: {{primary: true}}\n",
        f"{SETTINGS}metrics:\n  revenue: {{primary: true}}\n  orders: {{primary: false}}\n",
    ),
    "equal priorities": Case(
        "TA201",
        f"{XT}id: 2\naudience: mbox.y\n",
        f"{XT}id: 2\naudience: mbox.y\npriority: 1\n",
        more={"b.yaml": f"{OTHER}id: 3\naudience: mbox.x == 1\n".replace("key: b", "key: «b", 1)},
    ),
    "an offer that is hidden": Case(
        "TA202",
        f'{HEAD}experiences:\n  - {{key: all, offers: [{{mbox: hero}}]}}\n  - key: us\n    audience: geo.country == "US"\n    offers:\n      - «mbox: hero\n',
        f'{HEAD}experiences:\n  - {{key: all, audience: geo.country == "CA", offers: [{{mbox: hero}}]}}\n  - key: us\n    audience: geo.country == "US"\n    offers:\n      - mbox: hero\n',
    ),
    "shares above 100": Case(
        "TA203", *split(AB.replace("experiences:\n  -", "experiences:\n  «-").replace("50", "60"), AB)
    ),
    "shares below 100": Case(
        "TA204", *split(AB.replace("experiences:\n  -", "experiences:\n  «-").replace("50", "40"), AB)
    ),
    "nine windows": Case(
        "TA205",
        *split(
            *(
                f"experiences:\n  - {mark}key: one\n    windows: {[[n * 10, n * 10 + 10 - gap] for n in range(9)] if mark else [[0, 90]]}\n    offers: [{{mbox: hero}}]\n  - {{key: two, windows: [[91, 100]], offers: [{{mbox: hero}}]}}\n"
                for mark, gap in (("«", 2), ("", 0))
            )
        ),
    ),
    "a place that is remote": Case(
        "TA206",
        XT,
        XT,
        f"{SETTINGS}remote: {{mboxes: [«hero]}}\n",
        f"{SETTINGS}remote: {{mboxes: [other]}}\n",
    ),
    "a split of one": Case(
        "TA207",
        "key: a\nexperiences:\n  «- {key: one, share: 100, offers: [{mbox: hero}]}\n",
        "key: a\n" + AB,
    ),
    "a control behind": Case(
        "TA207",
        *split(
            AB.replace("key: two,", "key: two, control: «true,"),
            AB.replace("key: one,", "key: one, control: true,"),
        ),
    ),
    "another shape": Case(
        "TA208",
        *split(
            AB.replace("html: a", "json: {title: a}").replace("html: b", "json: «{titel: b}"),
            AB.replace("html: a", "json: {title: a}").replace("html: b", "json: {title: b}"),
        ),
    ),
    "another type of items": Case(
        "TA208",
        *split(
            AB.replace("html: a", "json: {sizes: [1]}").replace("html: b", "json: «{sizes: [1, big]}"),
            AB.replace("html: a", "json: {sizes: [1]}").replace("html: b", "json: {sizes: [2, null, 3]}"),
        ),
    ),
    "another shape of items": Case(
        "TA208",
        *split(
            AB.replace("html: a", "json: [{a: 1}]").replace("html: b", "json: «[{a: 1}, {c: 1}]"),
            AB.replace("html: a", "json: [{a: 1}, {b: 1}]").replace("html: b", "json: [{a: 1, b: 1}, {}]"),
        ),
    ),
    "a macro in JSON": Case(
        "TA209",
        *one_offer(
            "{mbox: hero, json: {a: '${user}'}}".replace("json: {", "json: «{"),
            "{mbox: hero, json: {a: user}}",
        ),
    ),
    "an unknown macro": Case(
        "TA209",
        *one_offer(
            "{mbox: hero, html: «'${mbox.user} ${activity.name}'}",
            "{mbox: hero, html: '${campaign.name}', audience: mbox.user}",
        ),
    ),
    "a renamed key": Case(
        "TA210",
        f"key: «a\n{XT.partition(chr(10))[2]}",
        f"{XT}renamed_from: b\n",
        more={"targetry.lock": LOCK % ("b", 7)},
        also=("targetry.lock:1:1 TA007 error",),
    ),
    "an unused audience": Case(
        "TA211",
        XT,
        f"{XT}audience: us\n",
        f'{SETTINGS}audiences:\n  us: «geo.country == "US"\n',
        f'{SETTINGS}audiences:\n  us: geo.country == "US"\n',
    ),
    "a missing offer": Case(
        "TA212",
        *split(
            AB + "  - «{key: three, share: 0, offers: []}\n",
            AB + "  - {key: three, share: 0, offers: [{mbox: hero}]}\n",
        ),
    ),
    "a click without selector": Case(
        "TA213",
        *one_offer(
            "{page_load: 0, actions: [], metrics: [«{type: click}]}",
            "{page_load: 0, actions: [], metrics: [{type: click, selector: '#a > b'}]}",
        ),
    ),
    "a wrong selector": Case(
        "TA213",
        *one_offer(
            "{mbox: hero, metrics: [{type: click, selector: «'a[b'}]}",
            "{mbox: hero, metrics: [{type: click, selector: 'a[b=\"]\"]'}]}",
        ),
    ),
    "actions in the global mbox": Case(
        "TA214", *one_offer("{mbox: «target-global-mbox, actions: []}", "{page_load: 0, actions: []}")
    ),
    "HTML at page load": Case(
        "TA214", *one_offer("{page_load: 0, html: «a}", "{mbox: target-global-mbox, html: a}")
    ),
    "the locale": Case(
        "TA215", *audience("mbox.x or «user.locale == mbox.y", "mbox.x or mbox.locale == mbox.y")
    ),
    "raw JSON Logic": Case("TA215", *audience('|\n  «raw(\'{"log": [{"var": "mbox.x"}]}\')', "mbox.x")),
    "a token that is not filled": Case(
        "TA216",
        XT,
        XT,
        f"{SETTINGS}response_tokens: [activity.id, «profile.age]\n",
        f"{SETTINGS}response_tokens: [activity.id]\n",
    ),
    "a redirect to a path": Case(
        "TA217",
        *one_offer("{mbox: hero, redirect: «/sale}", "{mbox: hero, redirect: https://acme.example/sale}"),
    ),
    "an empty offer": Case("TA217", *one_offer("{mbox: hero, html: «' '}", "{mbox: hero}")),
    "a large offer": Case(
        "TA218", *one_offer(f"{{mbox: hero, html: «{'a' * 100_001}}}", "{mbox: hero, html: a}")
    ),
    "a needless comment": Case(
        "TA900", f"{XT}priority: 5 «# targetry: ignore[TA204] later\n", f"{XT}priority: 5\n"
    ),
    "a comment about a syntax error": Case(
        "TA900", f"{XT}priority: 5 «# targetry: ignore[TA101]\n", f"{XT}priority: 5\n"
    ),
}
CASES |= {
    "a token that is derived, for Adobe": Case(
        "TA008",
        *one_offer("«{mbox: hero, html: a}", "{mbox: hero, html: a, token: of-adobe}"),
        is_for_adobe=True,
    ),
    "a metric with a derived token, for Adobe": Case(
        "TA008",
        *one_offer(
            "{mbox: hero, html: a, token: t, metrics: [«{type: click}]}",
            "{mbox: hero, html: a, token: t, metrics: [{type: click, token: of-adobe}]}",
        ),
        is_for_adobe=True,
    ),
    "a default metric with a derived token, for Adobe": Case(
        "TA008",
        *one_offer("{mbox: hero, html: a, token: t}", "{mbox: hero, html: a, token: t, metrics: []}"),
        SETTINGS + "defaults: {metrics: [«{type: click}]}\n",
        SETTINGS + "defaults: {metrics: [{type: click}]}\n",
        is_for_adobe=True,
    ),
}
ELSEWHERE = {"TA003": "b.yaml:1:1", "TA007": "targetry.lock:1:1"}


def check(folder: Path, files: dict[str, str], *, is_for_adobe: bool = False) -> tuple[list[str], str]:
    """Write files; return the findings as texts, and the place of the mark."""
    folder.mkdir(parents=True, exist_ok=True)
    marked = ""
    for name, text in files.items():
        before, mark, after = text.partition("«")
        if mark:
            marked = f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        (folder / name).write_text(before + after, "utf-8")
    found = check_folder(ActivityFolder(folder), NOW_MS, is_for_adobe=is_for_adobe)
    return [f"{one.file}:{one.line}:{one.column} {one.code} {one.level}" for one in found], marked


@each_case("name, case", CASES.items(), ids=CASES)
def test_rule_finds_its_mistake_once_and_not_in_the_twin(name: str, case: Case) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = {"targetry.yaml": case.settings, "a.yaml": case.wrong, **case.more}
        found, marked = check(folder / "wrong", files, is_for_adobe=case.is_for_adobe)
        level = case.level or RULES[case.code].level
        assert found == [f"{marked or ELSEWHERE[case.code]} {case.code} {level}", *case.also]
        right = {"targetry.yaml": case.right_settings or case.settings, "a.yaml": case.right}
        if case.code not in ELSEWHERE:
            right |= dict(case.more)
        found, _ = check(folder / "right", right, is_for_adobe=case.is_for_adobe)
        assert found == list(case.also)


def test_every_rule_has_a_case() -> None:
    assert {case.code for case in CASES.values()} == RULES.keys()


def test_file_of_an_offer_that_no_offer_uses_is_found(tmp_path: Path) -> None:
    (tmp_path / "offers").mkdir()
    right = one_offer("", "{mbox: hero, html: {file: offers/a.html}}")[1]
    files = {"targetry.yaml": SETTINGS, "a.yaml": right, "offers/a.html": "a", "offers/b.html": "b"}
    assert check(tmp_path, files)[0] == ["offers/b.html:1:1 TA211 warning"]


def test_page_load_shows_offers_of_several_activities(tmp_path: Path) -> None:
    files = {
        "targetry.yaml": SETTINGS,
        "a.yaml": XT.replace("hero", "target-global-mbox"),
        "b.yaml": OTHER.replace("hero", "target-global-mbox"),
    }
    assert check(tmp_path, files)[0] == []
