from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.humanize.audience import describe_audience


def var(path: str) -> dict[str, str]:
    return {"var": path}


CHROME = {"==": [var("user.browserType"), "chrome"]}
GERMAN = {"==": ["DE", var("geo.country")]}

WORDS: list[tuple[Any, str]] = [
    (True, "every visitor"),
    (False, "no visitor"),
    (CHROME, 'browser is "chrome"'),
    (GERMAN, 'country is "DE"'),
    ({"!=": [var("geo.region"), "CA"]}, 'region is not "CA"'),
    ({"or": [GERMAN, {"==": ["AT", var("geo.country")]}]}, 'country is one of "DE", "AT"'),
    ({"or": [GERMAN, CHROME]}, 'country is "DE" or browser is "chrome"'),
    (
        {"and": [CHROME, {"or": [GERMAN, CHROME]}]},
        'browser is "chrome" and (country is "DE" or browser is "chrome")',
    ),
    (
        {"or": [{"and": [CHROME, GERMAN]}, CHROME]},
        'browser is "chrome" and country is "DE" or browser is "chrome"',
    ),
    ({"!": [GERMAN]}, 'not (country is "DE")'),
    ({"!": GERMAN}, 'not (country is "DE")'),
    ({"in": ["bar", var("page.url_lc")]}, 'URL contains "bar"'),
    ({"in": [var("mbox.plan"), ["a", "b"]]}, 'parameter plan is one of "a", "b"'),
    ({"==": ["/", var("page.path")]}, 'path is "/"'),
    ({"==": ["com", var("page.topLevelDomain_lc")]}, 'top-level domain is "com"'),
    ({"==": ["x.example", var("referring.domain")]}, 'referring domain is "x.example"'),
    ({"==": ["red", var("mbox.favorite.color_lc")]}, 'parameter favorite.color is "red"'),
    (
        {"<=": [1613034000000, var("current_timestamp"), 1613239200000]},
        "time is from Thu 2021-02-11 09:00 to Sat 2021-02-13 18:00 UTC",
    ),
    ({"<=": ["0000", var("current_time"), "2359"]}, "time of day is from 00:00 to 23:59 UTC"),
    ({"==": ["5", var("current_day")]}, "weekday is Friday"),
    ({"<": [1, var("mbox.n"), 3]}, "parameter n is between 1 and 3"),
    ({"<": ["37.70", var("geo.latitude")]}, 'latitude is more than "37.70"'),
    ({">=": [var("user.browserVersion"), 100]}, "browser version is at least 100"),
    ({">=": [100, var("user.browserVersion")]}, "browser version is at most 100"),
    ({"==": [var("mbox.a"), var("mbox.b")]}, "parameter a is parameter b"),
    ({"<=": [1e300, var("current_timestamp")]}, "time is at least 1e+300"),
    ({"missing": ["mbox.a"]}, '{"missing": ["mbox.a"]}'),
    ({"==": [1]}, '{"==": [1]}'),
    ({"or": []}, '{"or": []}'),
    ({"==": [{"+": [1, 2]}, 3]}, '{"==": [{"+": [1, 2]}, 3]}'),
    ("text", '"text"'),
]


@each_case("condition, words", WORDS, ids=[words for _, words in WORDS])
def test_condition_is_described(condition: Any, words: str) -> None:
    assert describe_audience([condition]) == words


def test_several_conditions_must_all_hold() -> None:
    assert (
        describe_audience([CHROME, {"or": [GERMAN, CHROME]}])
        == 'browser is "chrome" and (country is "DE" or browser is "chrome")'
    )


def test_no_condition_is_every_visitor() -> None:
    assert describe_audience([]) == "every visitor"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "!", "==", "<", "<=", "in", "var", "cat", "!="]), inner, max_size=2
        )
    ),
    max_leaves=12,
)


@given(condition=JSON)
def test_any_condition_has_a_description(condition: Any) -> None:
    assert isinstance(describe_audience([condition]), str)
