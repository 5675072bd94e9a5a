from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import each_case
from targetry.errors import OptionError
from targetry.models import AuthenticatedState, CustomerId
from targetry.visitor import (
    AuthState,
    Visitor,
    check_visitor,
    cookie_name,
    customer_ids_of_state,
    generate_sdid,
    parse_amcv,
    parse_customer_ids,
    resolve_visitor,
    visitor_state_json,
)

ORG = "0DD934B85278256B0A490D44@AdobeOrg"
ECID = "20250794242226839061607285880759069379"
BLOB = "RKhpRz8krg2tLO6pguXWp5olkAcUniQYPHaMWWgdJ3xzPWQmdj0y"
FULL_COOKIE = (
    f"-637568504|MCIDTS|18000|MCMID|{ECID}|MCAAMLH-1555968000|9|MCAAMB-1555968000|{BLOB}"
    "|MCOPTOUT-1555370400s|NONE|MCAID|NONE|vVersion|5.0.1"
)
FULL_VALUES = {"MCMID": ECID, "MCAAMLH": "9", "MCAAMB": BLOB}

any_text = st.text(alphabet=st.characters(), max_size=80)
amcv_like = st.lists(
    st.sampled_from(
        ["MCMID", "MCAAMLH-1s", "MCAAMB", "vVersion", "NONE", "", "-12", "7", "x", "%7C", "\ud83d"]
    ),
    max_size=12,
).map("|".join)
consumers = st.lists(st.sampled_from(["first", "second", "third", "", None]), max_size=12)


def numbered() -> Callable[[], str]:
    """Return a factory of SDIDs that are numbered."""
    numbers = count(1)
    return lambda: f"S{next(numbers)}"


AMCV = [
    ("absent", None, {}),
    ("empty", "", {}),
    ("the documented sample", FULL_COOKIE, FULL_VALUES),
    ("the documented sample, encoded", quote(FULL_COOKIE, safe=""), FULL_VALUES),
    ("the Web SDK's form", f"MCMID|{ECID}", {"MCMID": ECID}),
    ("digest without a sign", f"637568504|MCMID|{ECID}", {"MCMID": ECID}),
    ("digits and hyphens before the pairs", f"12-34|MCMID|{ECID}", {"MCMID": ECID}),
    ("an empty token before the pairs", f"|MCMID|{ECID}", {"MCMID": ECID}),
    ("odd last token", f"MCMID|{ECID}|MCAAMLH", {"MCMID": ECID}),
    ("digest and odd last token", f"-1|MCMID|{ECID}|MCAAMLH", {"MCMID": ECID}),
    ("expiry in the name", f"MCMID-1555968000s|{ECID}", {"MCMID": ECID}),
    ("last of a repeated name", f"MCMID|1|MCMID|{ECID}", {"MCMID": ECID}),
    ("no value", "MCMID|NONE|MCAAMB||MCAAMLH|9", {"MCAAMLH": "9"}),
    ("ECID that is not digits", "MCMID|12a4|MCAAMLH|9", {"MCAAMLH": "9"}),
    ("ECID of other digits", "MCMID|１２", {}),
    ("ECID longer than the API takes", f"MCMID|{'1' * 129}", {}),
    ("other text", "hello", {}),
    ("plus is no space", "MCAAMB|a+b", {"MCAAMB": "a+b"}),
    ("longer than 8 KiB", f"MCMID|{ECID}|x|{'y' * 8192}", {}),
    ("broken encoding", f"MCMID%7C{ECID}%7C%zz%ff", {"MCMID": ECID}),
]


@each_case("value, expected", [row[1:] for row in AMCV], ids=[row[0] for row in AMCV])
def test_amcv_cookie_yields_the_fields_it_holds(value: str | None, expected: dict[str, str]) -> None:
    assert parse_amcv(value) == expected


@settings(deadline=None)
@given(value=any_text | amcv_like)
def test_any_cookie_yields_only_known_fields_that_utf8_can_encode(value: str) -> None:
    values = Visitor(ORG, value).get_visitor_values()

    assert values.keys() <= {"MCMID", "MCAAMB", "MCAAMLH"}
    assert all(text.encode("utf-8") for text in values.values())


def test_cookie_that_is_not_text_raises_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"^visitor_cookie: .* not bytes"):
        parse_amcv(b"MCMID|1")  # type: ignore[arg-type]


def test_cookie_is_named_after_the_organization() -> None:
    assert cookie_name(ORG) == "AMCV_0DD934B85278256B0A490D44@AdobeOrg"
    assert cookie_name(ORG, encoded=True) == "AMCV_0DD934B85278256B0A490D44%40AdobeOrg"
    assert Visitor(ORG).get_cookie_name() == cookie_name(ORG)


def test_sdid_is_two_groups_of_sixteen_upper_case_digits() -> None:
    assert re.fullmatch("[0-9A-F]{16}-[0-9A-F]{16}", generate_sdid())
    assert len({generate_sdid() for _ in range(100)}) == 100


def test_auth_states_are_the_documented_numbers() -> None:
    assert {state.name: state.value for state in AuthState} == {
        "UNKNOWN": 0,
        "AUTHENTICATED": 1,
        "LOGGED_OUT": 2,
    }


def triples(ids: list[CustomerId]) -> list[tuple[object, ...]]:
    return [(one.integration_code, one.id, one.authenticated_state) for one in ids]


CUSTOMER_IDS = [
    ("mapping of mappings", {"u": {"id": "1", "authState": 1}}, [("u", "1", "authenticated")]),
    ("mapping of texts", {"u": "1"}, [("u", "1", "unknown")]),
    ("state as digits", {"u": {"id": "1", "authState": "2"}}, [("u", "1", "logged_out")]),
    ("state of the enum", {"u": {"id": "1", "authState": AuthState.LOGGED_OUT}}, [("u", "1", "logged_out")]),
    ("state zero", {"u": {"id": "1", "authState": 0}}, [("u", "1", "unknown")]),
    ("no state", {"u": {"id": "1"}}, [("u", "1", "unknown")]),
    ("no id", {"u": {"authState": 1}, "v": "2"}, [("v", "2", "unknown")]),
    ("falsy entries", {"u": None, "v": "", "w": {}, "x": "4"}, [("x", "4", "unknown")]),
    ("nothing", {}, []),
    (
        "documented list",
        [CustomerId(id="1", integration_code="u", authenticated_state=AuthenticatedState.AUTHENTICATED)],
        [("u", "1", "authenticated")],
    ),
    (
        "list with a plain text as state",
        (CustomerId(id="1", integration_code="u", authenticated_state="logged_out"),),
        [("u", "1", "logged_out")],
    ),
    ("list without a state", [CustomerId(id="1", integration_code="u")], [("u", "1", "unknown")]),
    (
        "list with gaps",
        [None, CustomerId(integration_code="u"), CustomerId("2", "v")],
        [("v", "2", "unknown")],
    ),
    (
        "list of dicts with either spelling",
        [
            {"id": "1", "integrationCode": "u", "authenticatedState": "logged_out"},
            {"id": 2, "integration_code": "v"},
        ],
        [("u", "1", "logged_out"), ("v", "2", "unknown")],
    ),
]


@each_case("given_ids, expected", [row[1:] for row in CUSTOMER_IDS], ids=[row[0] for row in CUSTOMER_IDS])
def test_customer_ids_are_accepted_in_each_form(given_ids: object, expected: list[object]) -> None:
    assert triples(parse_customer_ids(given_ids)) == expected


WRONG_CUSTOMER_IDS = [
    ("text", "abc", "customer_ids"),
    ("number", 3, "customer_ids"),
    ("unknown state", {"k": {"id": "1", "authState": 3}}, "customer_ids.k.authState"),
    ("unknown state as text", {"k": {"id": "1", "authState": "on"}}, "customer_ids.k.authState"),
    ("truth as state", {"k": {"id": "1", "authState": True}}, "customer_ids.k.authState"),
    ("list as state", {"k": {"id": "1", "authState": [1]}}, "customer_ids.k.authState"),
    ("truth as id", {"k": {"id": True}}, "customer_ids.k.id"),
    ("bytes as entry", {"k": b"12"}, "customer_ids.k"),
    ("long id", {"k": {"id": "1" * 129}}, "customer_ids.k.id"),
    ("long code", {"k" * 51: "1"}, "customer_ids." + "k" * 51),
    ("no code", {"": "1"}, "customer_ids."),
    ("code that is no text", {4: "1"}, "customer_ids.4"),
    ("list of texts", ["abc"], "customer_ids[0]"),
    ("list item with a fraction", [None, CustomerId(1.5, "u")], "customer_ids[1].id"),
    ("list item without a code", [CustomerId("1")], "customer_ids[0].integration_code"),
    ("list item with a long code", [CustomerId("1", "u" * 51)], "customer_ids[0].integration_code"),
    ("list item of unknown state", [CustomerId("1", "u", "on")], "customer_ids[0].authenticated_state"),
    ("dict without a code", [{"id": "1"}], "customer_ids[0].integration_code"),
    ("dict with an unknown name", [{"id": "1", "code": "u"}], "customer_ids[0].code"),
    (
        "dict of unknown state",
        [{"id": "1", "integrationCode": "u", "authenticatedState": "on"}],
        "customer_ids[0].authenticated_state",
    ),
    ("more than fifty", {f"k{n}": "1" for n in range(51)}, "customer_ids"),
]


@each_case(
    "given_ids, path", [row[1:] for row in WRONG_CUSTOMER_IDS], ids=[row[0] for row in WRONG_CUSTOMER_IDS]
)
def test_wrong_customer_id_is_an_error_with_its_path(given_ids: object, path: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_customer_ids(given_ids)

    assert caught.value.path == path


@pytest.mark.parametrize("organization_id", ["", None, 5])
def test_visitor_needs_an_organization(organization_id: object) -> None:
    with pytest.raises(OptionError, match="organization_id"):
        Visitor(organization_id)  # type: ignore[arg-type]


def test_consumers_share_an_sdid_and_a_second_round_shares_the_next() -> None:
    visitor = Visitor(ORG, sdid_factory=numbered())

    assert [visitor.get_supplemental_data_id(name) for name in "abab"] == ["S1", "S1", "S2", "S2"]


def test_new_sdid_is_shared_by_the_next_consumer() -> None:
    visitor = Visitor(ORG, sdid_factory=numbered())

    assert [visitor.get_supplemental_data_id(name) for name in "aabb"] == ["S1", "S2", "S2", "S3"]


@settings(deadline=None)
@given(asking=consumers)
def test_no_consumer_receives_the_same_sdid_twice(asking: list[str | None]) -> None:
    visitor = Visitor(ORG)
    given_out = [(name or "target-global-mbox", visitor.get_supplemental_data_id(name)) for name in asking]

    assert len(given_out) == len(set(given_out))


@settings(deadline=None)
@given(asking=st.lists(st.text(min_size=1), unique=True, min_size=1))
def test_first_calls_of_all_consumers_return_one_sdid(asking: list[str]) -> None:
    visitor = Visitor(ORG)

    assert len({visitor.get_supplemental_data_id(name) for name in asking}) == 1


@pytest.mark.parametrize("consumer_id", [None, "", "target-global-mbox"])
def test_default_consumer_is_the_global_mbox(consumer_id: str | None) -> None:
    visitor = Visitor(ORG, sdid_factory=numbered())
    visitor.get_supplemental_data_id(consumer_id)

    assert visitor.get_supplemental_data_id() == "S2"
    assert visitor.get_state()[ORG]["sdid"]["supplementalDataIDCurrentConsumed"] == {
        "payload:target-global-mbox": True
    }


def test_threads_of_one_consumer_never_share_an_sdid() -> None:
    visitor = Visitor(ORG)
    with ThreadPoolExecutor(8) as pool:
        sdids = list(pool.map(lambda _: visitor.get_supplemental_data_id("a"), range(400)))

    assert len(set(sdids)) == 400


def test_fresh_visitor_has_an_empty_state() -> None:
    assert Visitor(ORG, FULL_COOKIE).get_state() == {ORG: {}}


def test_state_has_customer_ids_and_sdid_as_the_page_reads_them() -> None:
    ids = {"userid": {"id": "67312378756723456", "authState": 1}, "puuid": "550e8400"}
    visitor = Visitor(ORG, customer_ids=ids, sdid_factory=numbered())
    visitor.get_supplemental_data_id()

    assert visitor.get_state() == {
        ORG: {
            "customerIDs": {
                "userid": {"id": "67312378756723456", "authState": 1},
                "puuid": {"id": "550e8400", "authState": 0},
            },
            "sdid": {
                "supplementalDataIDCurrent": "S1",
                "supplementalDataIDCurrentConsumed": {"payload:target-global-mbox": True},
                "supplementalDataIDLastConsumed": {},
            },
        }
    }


def test_state_is_a_copy() -> None:
    visitor = Visitor(ORG, customer_ids={"u": "1"}, sdid_factory=numbered())
    visitor.get_supplemental_data_id()
    state = visitor.get_state()
    state[ORG]["customerIDs"]["u"]["id"] = "2"
    state[ORG]["sdid"]["supplementalDataIDCurrentConsumed"].clear()

    assert visitor.get_state() != state
    assert visitor.get_state()[ORG]["customerIDs"] == {"u": {"id": "1", "authState": 0}}


def test_values_are_a_copy() -> None:
    visitor = Visitor(ORG, FULL_COOKIE)
    visitor.get_visitor_values().clear()

    assert visitor.get_visitor_values() == FULL_VALUES


def test_customer_ids_replace_the_ones_before() -> None:
    visitor = Visitor(ORG, customer_ids={"u": "1"})
    visitor.set_customer_ids({"v": "2"})

    assert visitor.get_state()[ORG]["customerIDs"] == {"v": {"id": "2", "authState": 0}}


def test_repr_shows_no_ids() -> None:
    visitor = Visitor(ORG, FULL_COOKIE, {"userid": "67312378756723456"})

    assert repr(visitor) == f"Visitor(organization_id={ORG!r})"


STATES = [
    ("nothing", None, []),
    ("no mapping", "state", []),
    ("empty", {}, []),
    ("organization without a state", {ORG: None}, []),
    ("no ids", {ORG: {"sdid": {}}}, []),
    ("JavaScript's spelling", {ORG: {"customerIDs": {"u": {"id": "1", "authState": 1}}}}, ["1"]),
    ("Python's spelling", {ORG: {"customer_ids": {"u": {"id": "1", "auth_state": 1}}}}, ["1"]),
    ("JavaScript's before Python's", {ORG: {"customer_ids": {"u": "1"}, "customerIDs": {"u": "2"}}}, ["2"]),
    (
        "first organization",
        {"a@AdobeOrg": {"customerIDs": {"u": "1"}}, ORG: {"customerIDs": {"u": "2"}}},
        ["1"],
    ),
]


@each_case("state, ids", [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_customer_ids_are_read_from_either_spelling_of_a_state(state: object, ids: list[str]) -> None:
    assert [one.id for one in customer_ids_of_state(state)] == ids


def test_wrong_id_in_a_foreign_state_is_an_error_with_its_path() -> None:
    with pytest.raises(OptionError) as caught:
        customer_ids_of_state({ORG: {"customerIDs": {"u": {"id": "1", "authState": 9}}}})

    assert caught.value.path == "visitor.customer_ids.u.authState"


def test_state_json_respells_the_state_of_older_visitors() -> None:
    state = {
        ORG: {
            "customer_ids": {"auth_state": {"id": "1", "auth_state": 1}},
            "sdid": {
                "supplemental_data_id_current": "S1",
                "supplemental_data_id_current_consumed": {"payload:customer_ids": True},
                "supplemental_data_id_last_consumed": {},
            },
        }
    }

    assert json.loads(visitor_state_json(state)) == {
        ORG: {
            "customerIDs": {"auth_state": {"id": "1", "authState": 1}},
            "sdid": {
                "supplementalDataIDCurrent": "S1",
                "supplementalDataIDCurrentConsumed": {"payload:customer_ids": True},
                "supplementalDataIDLastConsumed": {},
            },
        }
    }


@settings(deadline=None)
@given(
    code=st.text(min_size=1, max_size=20),
    text=st.text(alphabet="</script>&\u2028\u2029é\"'\\a", min_size=1, max_size=40),
)
def test_state_json_is_the_state_and_cannot_end_a_script(code: str, text: str) -> None:
    state = Visitor(ORG, customer_ids={code: text}).get_state()
    written = visitor_state_json(state)

    assert json.loads(written) == state
    assert not set(written) & set("<>&\u2028\u2029")


def test_no_state_is_an_empty_object() -> None:
    assert visitor_state_json(None) == "{}"


@each_case("state", [{ORG: {"x": object()}}, {ORG: {"x": float("nan")}}, {ORG: "text"}, "text"])
def test_state_that_is_not_json_raises(state: object) -> None:
    with pytest.raises(OptionError, match="visitor_state"):
        visitor_state_json(state)  # type: ignore[arg-type]


class ForeignVisitor:
    """A visitor of the application's own, as the 1.1.0 package calls it."""

    def get_visitor_values(self) -> dict[str, str]:
        return {"MCMID": "1"}

    def get_state(self) -> dict[str, object]:
        return {ORG: {"customerIDs": {"u": "1"}}}

    def get_supplemental_data_id(self, consumer_id: str) -> str:
        return "S" + consumer_id


@pytest.mark.parametrize("method", ["get_visitor_values", "get_state", "get_supplemental_data_id"])
def test_visitor_that_lacks_a_method_raises_with_its_name(method: str) -> None:
    lacking = type("Lacking", (ForeignVisitor,), {method: None})()

    with pytest.raises(OptionError, match=rf"^visitor: has no method {method}\(\)$"):
        check_visitor(lacking)


@pytest.mark.parametrize("options", [{}, {"visitor_cookie": None}, {"visitor_cookie": ""}], ids=str)
def test_without_cookie_and_customer_ids_there_is_no_visitor(options: dict) -> None:
    assert resolve_visitor(ORG, **options) is None


@pytest.mark.parametrize(
    "options",
    [{"visitor_cookie": "MCMID|1"}, {"visitor_cookie": "garbage"}, {"customer_ids": {}}],
    ids=lambda options: str(options),
)
def test_cookie_or_customer_ids_make_a_visitor(options: dict) -> None:
    assert isinstance(resolve_visitor(ORG, **options), Visitor)


def test_visitor_has_the_ids_of_cookie_and_call() -> None:
    visitor = resolve_visitor(ORG, visitor_cookie=f"MCMID|{ECID}", customer_ids={"u": "1"})

    assert visitor is not None
    assert visitor.get_visitor_values() == {"MCMID": ECID}
    assert visitor.get_state() == {ORG: {"customerIDs": {"u": {"id": "1", "authState": 0}}}}


@pytest.mark.parametrize("known", [Visitor(ORG, "MCMID|1"), ForeignVisitor()], ids=["ours", "foreign"])
def test_given_visitor_takes_precedence_over_the_cookie(known: object) -> None:
    assert resolve_visitor(ORG, visitor=known, visitor_cookie="MCMID|2") is known
