import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targetry.models.ip_address import is_ip_address

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


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_one(text):
    assert is_ip_address(text)


@pytest.mark.parametrize("text", BAD)
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
