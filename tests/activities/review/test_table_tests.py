from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.activities import HERO, SETTINGS, write_files
from support.cases import each_case
from support.cli import run
from targetry.activities.model.files import ActivityFolder
from targetry.activities.review.table_tests import load_subject, parse_tests

pytest_plugins = ["pytester"]

FILES = {
    "targetry.yaml": SETTINGS + "properties: {web: 6f1c2b9e-3d47-8a05-b1e2-94c07d5fa381}\n",
    "hero.yaml": HERO,
    "flags.yaml": """
        key: flags
        type: xt
        experiences:
          - {key: gold, audience: 'mbox.tier == "gold" and mbox.age > 17', offers: [{mbox: flags, json: {a: 1, b: {c: true}}}]}
          - {key: canada, audience: 'geo.country == "CA"', offers: [{mbox: flags, json: {a: 2}}]}
          - {key: firefox, audience: 'user.browserType == "firefox"', offers: [{mbox: flags, json: {a: 3}}]}
          - {key: late, audience: 'current_timestamp > at("2026-06-01T00:00:00Z")', offers: [{mbox: flags}]}
          - {key: home, audience: 'page.path == "/home"', offers: [{page_load: 0, actions: []}, {view: cart, actions: []}]}
        """,
    "web.yaml": "key: web\ntype: xt\nproperties: [web]\nexperiences: [{key: w, offers: [{mbox: web, html: x}]}]\n",
}
MET = [
    "{given: {params: {tier: gold, age: 18}}, expect: {flags: gold}}",
    "{given: {params: {tier: gold, age: 18}}, expect: {flags: {b: {c: true}}}}",
    "{given: {params: {tier: gold, age: 18}}, expect: {flags: {experience: gold, content: {a: 1, b: {c: true}}}}}",
    "{given: {geo: {country: CA}}, expect: {flags: canada}}",
    "{given: {user_agent: firefox}, expect: {flags: firefox}}",
    "{given: {at: 2026-07-01T00:00:00+02:00}, expect: {flags: late}}",
    "{expect: {flags: null, missing: null, page_load: null, view cart: null}}",
    "{given: {url: 'https://acme.example/home'}, expect: {page_load: home, view cart: home}}",
    "{given: {property: web}, expect: {web: w}}",
    "{given: {property: other}, expect: {web: null}}",
    "{given: {third_party_id: x, ecid: y}, expect: {web: null, hero: sale}}",
    "{given: {visitors: 500, place: hero}, expect: {shares: {everyday: 50, sale: 50}, within: 8}}",
]
NOT_MET = [
    ("{expect: {flags: gold}}", "flags: expected gold, got nothing"),
    ("{expect: {flags: glod}}", "flags: expected glod, got nothing; did you mean 'gold'?"),
    ("{given: {geo: {country: CA}}, expect: {flags: null}}", "flags: expected nothing, got canada"),
    ("{given: {geo: {country: CA}}, expect: {flags: {a: true}}}", 'flags: expected the content {"a": true}, got {"a": 2} of canada'),
    ("{given: {geo: {country: CA}}, expect: {flags: {a: 2, z: 1}}}", 'flags: expected the content {"a": 2, "z": 1}, got {"a": 2} of canada'),
    ("{given: {at: 2026-07-01T00:00:00Z}, expect: {flags: {content: 1}}}", "flags: expected the content 1, got no content of late"),
    ("{given: {visitors: 200, place: hero}, expect: {shares: {everyday: 90}, within: 1}}", "hero: expected 90 % of everyday within 1, got 5"),
]  # fmt: skip
MISTAKES = [
    ("a: [", "x.test.yaml:2:1: error TA001"),
    ("tests: []", "x.test.yaml:1:8: error TA002: the list is empty"),
    ("tests: [{name: a, expct: {}}]", "x.test.yaml:1:19: error TA002: unknown key 'expct'; did you mean 'expect'?"),
    ("tests: [{name: a, expect: {}, given: {geo: {land: CA}}}]", "x.test.yaml:1:45: error TA002: unknown key 'land'"),
    ("tests: [{name: a, expect: {shares: {a: 1}}}]", "x.test.yaml:1:9: error TA002: a test of shares needs visitors and place"),
    ("tests: [{name: a, expect: {shares: 1}, given: {visitors: 1, place: a}}]", "x.test.yaml:1:27: error TA002: a test of shares has"),
    ("tests: [{name: a, expect: {shares: {a: x}}, given: {visitors: 1, place: a}}]", "x.test.yaml:1:40: error TA002: a percentage is"),
    ("tests: [{name: a, expect: {shares: {}, within: []}, given: {visitors: 1, place: a}}]", "x.test.yaml:1:48: error TA002: a percentage is"),
    ("tests: [{name: a, expect: {}, given: {at: '2026-01-01'}}]", "x.test.yaml:1:43: error TA002: a time is in ISO 8601"),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("shop") / "activities", FILES)


def messages(folder: Path, test: str) -> list[str]:
    tests, findings = parse_tests("x.test.yaml", "tests: [" + test.replace("{", "{name: x, ", 1) + "]")
    assert findings == []
    return [one.message for one in load_subject(ActivityFolder(folder)).run(tests[0].test)]


def test_met_expectations_pass(folder: Path) -> None:
    assert {test: found for test in MET if (found := messages(folder, test))} == {}


def test_failure_says_what_was_expected_and_what_came(folder: Path) -> None:
    for test, message in NOT_MET:
        (found,) = messages(folder, test)
        assert found.startswith(message)


@each_case("text, finding", MISTAKES, ids=lambda case: case[0])
def test_mistake_in_a_file_of_tests_is_found_at_its_position(text: str, finding: str) -> None:
    _, findings = parse_tests("x.test.yaml", text)
    assert str(findings[0]).startswith(finding)


def write_tests(folder: Path, text: str) -> None:
    write_files(folder, FILES | {"tests/x.test.yaml": text})


def test_command_prints_the_rules_of_a_failure(tmp_path: Path) -> None:
    write_tests(
        tmp_path, "tests:\n  - {name: good, expect: {flags: null}}\n  - {name: bad, expect: {flags: gold}}\n"
    )
    result = run("activities", "test", tmp_path, "--junit", tmp_path / "j.xml", width=200)
    assert result.exit_code == 1
    assert f"{tmp_path}/tests/x.test.yaml:3: bad\n  flags: expected gold, got nothing\n" in result.stdout
    assert '✗ mbox.tier (not set) == "gold"' in result.stdout
    assert result.stdout.endswith("1 passed, 1 failed\n")
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert run("activities", "test", tmp_path, "-k", "good").exit_code == 0
    other = run("activities", "test", tmp_path, "-k", "other", width=300)
    assert f"no test of {tmp_path} has 'other' in its name" in other.stderr


def test_command_reports_mistakes(tmp_path: Path) -> None:
    write_tests(tmp_path, "tests: 1\n")
    assert "tests/x.test.yaml:1:8: error TA002" in run("activities", "test", tmp_path, width=300).stderr
    write_tests(tmp_path, "tests: [{name: a, expect: {}}]\n")
    write_files(tmp_path, {"hero.yaml": "key: 1\n"})
    assert "hero.yaml:1:6: error TA002" in run("activities", "test", tmp_path, width=300).stderr


def test_pytest_runs_the_tests_of_a_folder(pytester: pytest.Pytester) -> None:
    write_tests(
        pytester.path / "shop",
        "tests:\n  - {name: good, expect: {flags: null}}\n  - {name: bad, expect: {flags: gold}}\n",
    )
    (pytester.path / "x.test.yaml").write_text("not: ours\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*flags: expected gold, got nothing*", "*✗ mbox.tier (not set)*"])


def test_pytest_shows_mistakes_of_the_files(pytester: pytest.Pytester) -> None:
    write_tests(pytester.path, "tests: [{name: a, expect: {}}]\n")
    write_files(pytester.path, {"hero.yaml": "key: 1\n"})
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*hero.yaml:1:6: error TA002*"])
