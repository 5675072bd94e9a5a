import ipaddress
import re

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry.models.ip_address import is_ip_address, parse_ip_address, read_ip_address
from targetry.models.scalars import ReadMode

GOOD = [
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    " 12.21.1.40\t",
    "::",
    "::1",
    "1::",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7::",
    "::2:3:4:5:6:7:8",
    "2001:DB8::a",
    "::ffff:1.2.3.4",
    "64:ff9b::192.0.2.33",
    "1:2:3:4:5:6:1.2.3.4",
    "fe80::1%eth0",
    " fe80::1%25en0 ",
]
BAD = [
    "",
    " ",
    "localhost",
    "999.1.1.1",
    "256.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.-4",
    "1.2.3.4, 5.6.7.8",
    "1.2.3.4:80",
    "1.2.3.٤",
    ":",
    ":::",
    "1:::2",
    "1::2::3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "1:2:3:4:5:6:7",
    "12345::",
    "g::",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::1.2.3.256",
    "1:2:3:4:5:6:7:1.2.3.4",
    "fe80::1%",
    "fe80::1%a\nb",
    "[::1]",
    "::1/64",
    "%eth0",
    ".",
]


@each_case("text", GOOD)
def test_address_is_one(text):
    assert is_ip_address(text)


@each_case("text", BAD)
def test_anything_else_is_none(text):
    assert not is_ip_address(text)


@given(st.ip_addresses())
def test_every_address_in_every_spelling_is_one(address):
    assert is_ip_address(str(address))
    assert is_ip_address(address.exploded)


@given(
    st.text("0123456789abcF:.", max_size=24)
    | st.from_regex(r"([0-9a-f]{0,4}:){2,8}[0-9a-f.]{0,8}", fullmatch=True)
)
def test_agrees_with_the_standard_library(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        expected = False
    else:
        expected = True
    assert is_ip_address(text) is expected


@given(st.text())
def test_no_text_without_a_digit_or_colon_is_one(text):
    assert not is_ip_address(re.sub(r"[\d:]", "", text))


PARSED = [
    ("203.0.113.7", "203.0.113.7"),
    ("203.0.113.7:443", "203.0.113.7"),
    (" 203.0.113.7:443 ", "203.0.113.7"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:4711", "2001:db8::1"),
    ("[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4"),
    ("[fe80::1%eth0]:80", "fe80::1%eth0"),
    ("203.0.113.7, 198.51.100.1", "203.0.113.7"),
    ("203.0.113.7:80,198.51.100.1", "203.0.113.7"),
    (", 203.0.113.7", "203.0.113.7"),
    ("2001:db8::1,10.0.0.1", "2001:db8::1"),
    ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
    ('proto=http; For="[2001:db8::1]:4711", for=10.0.0.1', "2001:db8::1"),
    ("unknown, 203.0.113.7", None),
    ("for=_hidden, for=203.0.113.7", None),
    ("proto=http", None),
    ("testclient", None),
    ("testclient:50000", None),
    ("localhost:80", None),
    ("unknown", None),
    ("_hidden", None),
    ("", None),
    (",", None),
    ("[203.0.113.7", "203.0.113.7"),
    ("[]", None),
    ("1.2.3.4:x", None),
]


@each_case("text, address", PARSED)
def test_first_address_is_read_without_its_port(text, address):
    assert parse_ip_address(text) == address


@each_case(
    "value, text",
    [
        ("1.2.3.4", "1.2.3.4"),
        (b"1.2.3.4", "1.2.3.4"),
        (ipaddress.ip_address("1.2.3.4"), "1.2.3.4"),
        (ipaddress.ip_address("::1"), "::1"),
        (["1.2.3.4", "5.6.7.8"], "1.2.3.4"),
        (("1.2.3.4", 50000), "1.2.3.4"),
        ([], ""),
        (5, ""),
        (..., ""),
        ([["1.2.3.4"]], ""),
    ],
)
def test_address_is_read_from_the_forms_of_servers(value, text):
    assert read_ip_address(value, None, "path", ReadMode()) == text


@given(st.text() | st.text(":[],;=% .0123456789abcdefor", max_size=30))
def test_any_text_read_is_an_address(text):
    address = parse_ip_address(text)
    assert address is None or is_ip_address(address)
