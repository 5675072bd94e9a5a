"""Options of the frameworks: every wrong value is refused with the name of its option."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import each_case
from targetry import OptionError
from targetry.web.consent import Consent, read_consent
from targetry.web.options import WebOptions, WebSettings, web_settings

WRONG: dict[str, Any] = {
    "cookies": "often",
    "cookie_domain": "a b",
    "cookie_path": "shop",
    "cookie_samesite": "Loose",
    "cookie_secure": "yes",
    "cookie_httponly": 1,
    "vary": None,
    "accept_ch": "on",
    "ip": "203.0.113.7",
    "trusted_proxies": ["10.0.0.0/33"],
    "proxy_header": "x-real-ip",
    "consent": True,
    "customer_ids": {"crm": "1"},
    "parameters": {"a": "b"},
    "impressions": "later",
    "exclude": "/static",
    "openfeature": "yes",
}


def test_table_of_wrong_values_has_every_option() -> None:
    assert set(WRONG) == set(WebOptions.__annotations__) == set(WebSettings.__struct_fields__)


@each_case("name", WRONG)
def test_wrong_value_raises_with_its_path(name: str) -> None:
    with pytest.raises(OptionError) as raised:
        web_settings({name: WRONG[name]})
    assert raised.value.path.partition("[")[0] == name


@each_case(
    "given, path",
    [
        ({"exclude": ["/a", "b"]}, "exclude[1]"),
        ({"trusted_proxies": ["10.0.0.1", 5]}, "trusted_proxies[1]"),
        ({"cookie_path": "/a;b"}, "cookie_path"),
        ({"cookie_samesite": "none", "cookie_secure": False}, "cookie_secure"),
    ],
)
def test_invalid_entry_raises_with_its_index(given: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionError) as raised:
        web_settings(given)
    assert raised.value.path == path


def test_unknown_option_raises_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match="no option 'cookie_same_site'; did you mean 'cookie_samesite'"):
        web_settings({"cookie_same_site": "Lax"})


def test_excluded_paths_are_prefixes() -> None:
    settings = web_settings({"exclude": ["/static/", "/healthz"]})
    paths = ["/static/a.css", "/static", "/healthz", "/healthz/x", "/"]
    assert [settings.is_excluded(path) for path in paths] == [True, False, True, True, False]
    assert not web_settings({}).is_excluded("/")


@each_case(
    "answer, expected",
    [
        (True, Consent.GRANTED),
        (None, Consent.GRANTED),
        (False, Consent.DENIED),
        (Consent.ANONYMOUS, Consent.ANONYMOUS),
    ],
)
def test_values_are_read_as_levels_of_consent(answer: object, expected: Consent) -> None:
    assert read_consent(answer) is expected


@each_case("answer", ["granted", 1, 0, "", object()])
def test_other_values_are_no_consent(answer: object) -> None:
    with pytest.raises(OptionError, match="consent: must return"):
        read_consent(answer)
