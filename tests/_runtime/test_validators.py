"""Validators of option values."""

import contextlib
import os
import sys
import traceback
import warnings
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry._runtime import validators
from targetry.errors import OptionError, TargetryWarning


def test_time_zone_of_utc_needs_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_zones(monkeypatch):
        assert validators.time_zone("zone", "UTC") is None


def test_missing_data_on_time_zones_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with without_zones(monkeypatch), pytest.raises(OptionError, match="pip install tzdata") as caught:
        validators.time_zone("zone", "Europe/Berlin")
    assert caught.value.path == "zone"


@contextlib.contextmanager
def without_zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the time zones of the system and of the package tzdata."""
    paths = zoneinfo.TZPATH
    with monkeypatch.context() as patch:
        for name in ["tzdata", *(one for one in sys.modules if one.startswith("tzdata."))]:
            patch.setitem(sys.modules, name, None)
        zoneinfo.reset_tzpath(to=[])
        zoneinfo.ZoneInfo.clear_cache()
        try:
            yield
        finally:
            zoneinfo.reset_tzpath(to=paths)


NEAR_ZONES = {
    "lower case": ("europe/berlin", "Europe/Berlin"),
    "a city": ("Berlin", "Europe/Berlin"),
    "a space": ("America/New York", "America/New_York"),
}


@each_case("name, near", NEAR_ZONES.values(), ids=NEAR_ZONES)
def test_wrong_time_zone_is_named_with_a_near_one(name: str, near: str) -> None:
    with pytest.raises(OptionError, match=f"not {name!r}; did you mean {near!r}") as caught:
        validators.time_zone("zone", name)
    assert caught.value.path == "zone"


LOCATIONS = {
    "https": ("https://cdn.example/rules.json?v=1", "https://cdn.example/rules.json?v=1"),
    "http with port": ("http://127.0.0.1:8080/rules.json", "http://127.0.0.1:8080/rules.json"),
    "upper case": ("HTTPS://cdn.example/rules.json", "HTTPS://cdn.example/rules.json"),
    "path": ("rules.json", Path("rules.json")),
    "PathLike": (Path("/srv/rules.bin"), Path("/srv/rules.bin")),
    "file URL": ("file:///srv/my%20rules.json", Path("/srv/my rules.json")),
    "file URL of this host": ("file://localhost/srv/rules.json", Path("/srv/rules.json")),
    "file URL in short": ("file:/srv/rules.json", Path("/srv/rules.json")),
}


@each_case("value, kept", LOCATIONS.values(), ids=LOCATIONS)
def test_location_is_kept_as_url_or_as_path(value: Any, kept: str | Path) -> None:
    assert validators.location("artifact_location", value) == kept


@each_case(
    "value",
    [
        "s3://bucket/rules.json",
        "https:///rules.json",
        "http://[::1/x",
        "file://far.example/x",
        "a\0b",
        3,
        "file:",
    ],
)
def test_location_that_is_neither_raises(value: Any) -> None:
    with pytest.raises(OptionError, match=r"^artifact_location: "):
        validators.location("artifact_location", value)


@given(st.text(min_size=1) | st.builds("{}://{}".format, st.sampled_from(["http", "file", "x"]), st.text()))
def test_any_text_is_a_location_or_an_option_error(value: str) -> None:
    try:
        kept = validators.location("artifact_location", value)
    except OptionError:
        return
    assert isinstance(kept, Path) or kept == value


@given(st.text() | st.builds("http://{}@{}".format, st.text(), st.text()))
def test_error_of_an_invalid_proxy_does_not_repeat_it(value: str) -> None:
    with pytest.raises(OptionError) as caught:
        validators.proxy("proxy", f"socks9://user:pa55w0rd@{value}")
    assert "pa55w0rd" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("organizationId", "; did you mean 'organization_id'?"), ("zzz", ""), (3, "")],
    ids=["near", "far", "not text"],
)
def test_nearest_known_name_is_suggested(name: object, hint: str) -> None:
    assert validators.suggestion(name, ["client", "organization_id"]) == hint


def test_warning_points_at_the_line_outside_the_package() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validators.secure("secure", 0)
    assert (caught[0].category, caught[0].filename) == (TargetryWarning, __file__)


class Undecided:
    def __bool__(self) -> bool:
        raise TypeError("neither true nor false")


@each_case(
    "value, expected",
    [(None, True), ("", True), (0, True), ({}, True), ("x", False), (Undecided(), False)],
    ids=["None", "empty text", "zero", "empty dict", "text", "undecided"],
)
def test_value_without_a_truth_value_is_not_falsy(value: object, expected: bool) -> None:
    assert validators.is_false(value) is expected


def test_path_given_as_bytes_by_a_path_like_is_decoded() -> None:
    class BytesPath(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return b"/srv/rules.json"

    assert validators.file_path("ca_bundle", BytesPath()) == Path("/srv/rules.json")


URL_WITH_SLASH_IN_PASSWORD = "http://me:hush/s3cret@host/"


@pytest.mark.parametrize("check", [validators.location, validators.proxy], ids=["location", "proxy"])
def test_refused_url_leaves_no_part_of_it_in_traceback(check: validators.Check) -> None:
    with pytest.raises(OptionError) as caught:
        check("option", URL_WITH_SLASH_IN_PASSWORD)
    text = "".join(traceback.format_exception(caught.value))
    assert "hush" not in text


PORTS = ["0", "00", "65536", "99999", "-1", "http", "80x", "8_0", "８０"]
WITH_PORT = {
    "server_domain": (validators.host, "acme.example:{}"),
    "server_domain in brackets": (validators.host, "[::1]:{}"),
    "cdn_base_path": (validators.base_path, "cdn.example:{}/path"),
    "cdn_base_path with scheme": (validators.base_path, "https://cdn.example:{}"),
    "artifact_location": (validators.location, "https://cdn.example:{}/rules.json"),
    "proxy": (validators.proxy, "http://me:hush@proxy.example:{}"),
}


@each_case("port", PORTS)
@each_case("check, form", WITH_PORT.values(), ids=WITH_PORT)
def test_invalid_port_raises_with_the_option(check: validators.Check, form: str, port: str) -> None:
    with pytest.raises(OptionError, match=r"must have a port from 1 to 65535") as caught:
        check("option", form.format(port))
    assert caught.value.path == "option"
    assert "hush" not in str(caught.value)


@each_case("port", ["1", "443", "65535"])
@each_case("check, form", WITH_PORT.values(), ids=WITH_PORT)
def test_possible_port_is_accepted(check: validators.Check, form: str, port: str) -> None:
    assert check("option", form.format(port)) == form.format(port)


@each_case("address", ["::1", "2001:db8::1:8080", "[::1", "[no]", "::1]"])
def test_address_that_makes_no_url_raises(address: str) -> None:
    with pytest.raises(OptionError):
        validators.host("server_domain", address)
