from __future__ import annotations

import copy
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.delivery import cookies
from targetry.delivery.cookies import Cookie, location_hint_cookie, parse_target_cookie, target_cookie

NOW = 1_600_000_000.25
LATER = 1_600_000_500  # an expiry that lies ahead of NOW
LONG_AGO = 1_500_000_000

# Cookies as frameworks pass them: bytes that are not UTF-8 become surrogates.
any_text = st.text(alphabet=st.characters(), max_size=60)
ids = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
cookie_like = st.text(alphabet="session#PC|%0123456789.abc-_ \u00e9\ud83d", max_size=80)

part = st.text(alphabet="p1.35_ %#|\u00e9", max_size=9)
expiry = st.integers(-1, 4_000_000_000) | st.floats(0, 4e9) | st.sampled_from(["", "x", " 1"])


@each_case(
    "name, value",
    [
        ("TARGET_COOKIE", "mbox"),
        ("SESSION_ID_COOKIE", "session"),
        ("DEVICE_ID_COOKIE", "PC"),
        ("LOCATION_HINT_COOKIE", "mboxEdgeCluster"),
        ("SESSION_ID_MAX_AGE", 1860),
        ("DEVICE_ID_MAX_AGE", 63244800),
        ("LOCATION_HINT_MAX_AGE", 1860),
    ],
)
def test_constants_have_their_documented_values(name: str, value: object) -> None:
    assert getattr(cookies, name) == value


PARSED = [
    ("nothing", None, (None, None)),
    ("empty", "", (None, None)),
    ("session only", f"session#s1#{LATER}", ("s1", None)),
    ("device only", f"PC#d1.35_0#{LATER}", (None, "d1.35_0")),
    ("both", f"session#s1#{LATER}|PC#d1.35_0#{LATER}", ("s1", "d1.35_0")),
    ("either order", f"PC#d1#{LATER}|session#s1#{LATER}", ("s1", "d1")),
    ("trailing pipe of another SDK", f"session#s1#{LATER}|PC#d1#{LATER}|", ("s1", "d1")),
    ("empty part amid", f"session#s1#{LATER}||PC#d1#{LATER}", ("s1", "d1")),
    ("expired part", f"session#s1#{LONG_AGO}|PC#d1#{LATER}", (None, "d1")),
    ("all expired", f"session#s1#{LONG_AGO}|PC#d1#{LONG_AGO}", (None, None)),
    ("last duplicate wins", f"session#s1#{LATER}|session#s2#{LATER}", ("s2", None)),
    ("duplicate after the usual form wins", f"session#s1#{LATER}|PC#d1#{LATER}|PC#d2#{LATER}", ("s1", "d2")),
    ("an expired duplicate does not win", f"session#s1#{LATER}|session#s2#{LONG_AGO}", ("s1", None)),
    ("unknown name", f"check#true#{LATER}|PC#d1#{LATER}", (None, "d1")),
    ("two fields", f"session#s1|PC#d1#{LATER}", (None, "d1")),
    ("fields past the third", f"session#s1#{LATER}#x#y", ("s1", None)),
    ("expiry that is no number", f"session#s1#soon|PC#d1#{LATER}", (None, "d1")),
    ("expiry that begins as a number", f"session#s1#{LATER}abc", (None, None)),
    ("expiry with a fraction", f"session#s1#{LATER}.5", ("s1", None)),
    ("expiry that is not finite", "session#s1#inf|PC#d1#nan", (None, None)),
    ("expiry past what an int reads", f"session#s1#{'9' * 5000}", (None, None)),
    ("encoded name and value", f"%73ession#a%2Fb%20c#{LATER}", ("a/b c", None)),
    ("encoded beyond ASCII", f"session#%C3%A9#{LATER}", ("é", None)),
    ("broken encoding", f"session#%zz#{LATER}", ("%zz", None)),
    ("empty value", f"session##{LATER}|PC##{LATER}", (None, None)),
    ("encoded as a whole", quote(f"session#s1#{LATER}|PC#d1#{LATER}"), ("s1", "d1")),
    ("half of a surrogate pair", f"session#a\ud83d#{LATER}", ("a?", None)),
]


@each_case("value, expected", [row[1:] for row in PARSED], ids=[row[0] for row in PARSED])
def test_cookie_yields_ids_that_have_not_expired(
    value: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert parse_target_cookie(value, NOW) == expected


@each_case("now, expected", [(1000.0, "s"), (999.0001, "s"), (1000.0001, None), (1001.0, None)])
def test_part_expires_when_the_rounded_clock_passes_its_expiry(now: float, expected: str | None) -> None:
    assert parse_target_cookie("session#s#1000", now).session_id == expected
    assert parse_target_cookie("session#s#1000|PC#s#1000", now) == (expected, expected)


def test_session_alone_lives_for_31_minutes() -> None:
    cookie = target_cookie("s1", None, NOW)

    assert cookie == {"name": "mbox", "value": "session#s1#1600001861", "max_age": 1860, "maxAge": 1860}


def test_device_id_makes_the_cookie_live_for_732_days() -> None:
    cookie = target_cookie("s1", "d1.35_0", NOW)

    assert cookie["value"] == "session#s1#1600001861|PC#d1.35_0#1663244801"
    assert cookie["max_age"] == cookie["maxAge"] == 63244800


@pytest.mark.parametrize("device_id", [None, ""])
def test_empty_device_id_is_left_out(device_id: str | None) -> None:
    assert "PC" not in target_cookie("s1", device_id, NOW).value


@each_case(
    "session_id, written",
    [
        ("a-b_c.d~e", "a-b_c.d~e"),
        ("a/b", "a%2Fb"),
        ("a#b|c", "a%23b%7Cc"),
        ("50%", "50%25"),
        ("!'()*", "%21%27%28%29%2A"),
        ("é", "%C3%A9"),
        ("\ud83d", "%3F"),
    ],
)
def test_all_but_unreserved_characters_are_percent_encoded(session_id: str, written: str) -> None:
    assert target_cookie(session_id, None, NOW).value == f"session#{written}#1600001861"


def test_one_id_that_needs_encoding_leaves_the_other_as_it_is() -> None:
    assert target_cookie("s-1", "d/1", NOW).value == "session#s-1#1600001861|PC#d%2F1#1663244801"


def test_hint_cookie_names_the_cluster_for_31_minutes() -> None:
    expected = {"name": "mboxEdgeCluster", "value": "35", "max_age": 1860, "maxAge": 1860}

    assert location_hint_cookie("35") == expected


def test_cookie_has_attributes() -> None:
    cookie = location_hint_cookie("35")

    assert (cookie.name, cookie.value, cookie.max_age) == ("mboxEdgeCluster", "35", 1860)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copied_cookie_is_a_cookie(copied: object) -> None:
    cookie = copied(location_hint_cookie("35"))  # type: ignore[operator]

    assert isinstance(cookie, Cookie)
    assert cookie == location_hint_cookie("35")


@settings(deadline=None)
@given(session_id=ids, device_id=ids, now=st.floats(0, 4e9))
def test_written_ids_are_read_back(session_id: str, device_id: str, now: float) -> None:
    value = target_cookie(session_id, device_id, now).value

    assert parse_target_cookie(value, now) == (session_id, device_id)
    assert parse_target_cookie(value, now + 1859) == (session_id, device_id)
    assert parse_target_cookie(value, now + 1862) == (None, device_id)


@settings(deadline=None)
@given(value=st.builds("session#{}#{}|PC#{}#{}".format, part, expiry, part, expiry), now=st.floats(0, 4e9))
def test_cookie_in_the_usual_form_is_read_as_any_other(value: str, now: float) -> None:
    assert parse_target_cookie(value, now) == parse_target_cookie(f"{value}|", now)


@given(session_id=any_text, device_id=any_text)
def test_any_ids_make_a_cookie_of_ascii_characters(session_id: str, device_id: str) -> None:
    value = target_cookie(session_id, device_id, NOW).value

    assert value.isascii()
    assert not set(value) & set(' ;,"\\\r\n/')


@settings(deadline=None)
@given(value=any_text | cookie_like | cookie_like.map(lambda text: quote(text, errors="replace")))
def test_reading_never_raises_and_yields_text_that_utf8_can_encode(value: str) -> None:
    for text in parse_target_cookie(value, 0.0):
        if text is not None:
            assert text
            assert text.encode("utf-8")
