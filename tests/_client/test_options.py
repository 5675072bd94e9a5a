import enum
import math
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry._client.options import (
    CLIENT_DEFAULTS,
    CLIENT_OPTIONS,
    REQUIRED,
    ClientSettings,
    client_settings,
)
from targetry.errors import OptionError, TargetryWarning
from targetry.hooks import Hook
from targetry.models import DecisioningMethod

NEEDED = {"client": "acme", "organization_id": "0DD934B85278256B0A490D44@AdobeOrg"}


class Logger:
    def debug(self, message: str, *args: object) -> None: ...

    def error(self, message: str, *args: object) -> None: ...


class Transport:
    def send(self, request: Any, *, timeout: float, max_bytes: int | None = None) -> Any: ...

    def close(self) -> None: ...


class AsyncTransport:
    async def send(self, request: Any, *, timeout: float, max_bytes: int | None = None) -> Any: ...

    async def aclose(self) -> None: ...


class OthersMethod(enum.Enum):
    HYBRID = "hybrid"
    ON_DEVICE = 2


LOGGER, TRANSPORT, ASYNC_TRANSPORT = Logger(), Transport(), AsyncTransport()
LONGEST_MS = 2**31 - 1


def on_ready() -> None: ...


def on_failure(event: object) -> None: ...


# option → [(given, kept)]
HOOK = Hook()

ACCEPTED: dict[str, list[tuple[Any, Any]]] = {
    "client": [("acme-2", "acme-2")],
    "organization_id": [("A@AdobeOrg", "A@AdobeOrg")],
    "decisioning_method": [
        ("on-device", DecisioningMethod.ON_DEVICE),
        (DecisioningMethod.HYBRID, DecisioningMethod.HYBRID),
        (OthersMethod.HYBRID, DecisioningMethod.HYBRID),
        (OthersMethod.ON_DEVICE, DecisioningMethod.ON_DEVICE),
        (0, DecisioningMethod.SERVER_SIDE),
        (False, DecisioningMethod.SERVER_SIDE),
    ],
    "timeout": [(20, 20), (20.5, 20.5), (0, 3000), (LONGEST_MS, LONGEST_MS)],
    "server_domain": [("target.example.com", "target.example.com"), ("localhost:8080", "localhost:8080")],
    "secure": [(False, False), (True, True)],
    "target_location_hint": [("35", "35"), (35, "35")],
    "environment_id": [(12345, 12345), (-(2**63), -(2**63)), ("12345", 12345)],
    "property_token": [("08210e2d", "08210e2d"), (UUID(int=1), str(UUID(int=1)))],
    "version": [("2.1.0", "2.1.0")],
    "telemetry_enabled": [(False, False), (True, True)],
    "logger": [(LOGGER, LOGGER)],
    "events": [
        ({"client_ready": on_ready}, {"client_ready": on_ready}),
        (
            MappingProxyType({"artifact_download_failed": on_failure}),
            {"artifact_download_failed": on_failure},
        ),
        ({}, {}),
    ],
    "polling_interval": [(0, 0), (False, 0), (300, 300), (600_000, 600_000), (1.5, 1.5)],
    "maximum_wait_ready": [(0, 0), (5000, 5000), (-1, None)],
    "artifact_location": [
        ("https://cdn.example/rules.json", "https://cdn.example/rules.json"),
        (Path("rules.json"), Path("rules.json")),
        ("file:///srv/rules.json", Path("/srv/rules.json")),
    ],
    "artifact_payload": [
        ({"version": "1.0.0"}, {"version": "1.0.0"}),
        (b"{}", b"{}"),
        ("{}", "{}"),
        ({}, {}),
    ],
    "artifact_format": [("json", "json"), ("bin", "bin")],
    "artifact_cache_dir": [("cache", Path("cache")), (Path("/var/cache"), Path("/var/cache"))],
    "artifact_max_bytes": [(1, 1), (10_000_000, 10_000_000)],
    "environment": [("staging", "staging"), ("Staging", "staging"), ("my own", "my own")],
    "cdn_environment": [("staging", "staging"), ("Development", "development")],
    "cdn_base_path": [
        ("cdn.example:8443/rules", "cdn.example:8443/rules"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
    "geo_database": [("GeoLite2-City.mmdb", Path("GeoLite2-City.mmdb"))],
    "geo_timeout": [(250, 250)],
    "transport": [(TRANSPORT, TRANSPORT)],
    "async_transport": [(ASYNC_TRANSPORT, ASYNC_TRANSPORT)],
    "proxy": [("http://user:secret@proxy.example:3128", "http://user:secret@proxy.example:3128")],
    "ca_bundle": [("/etc/ssl/ca.pem", Path("/etc/ssl/ca.pem"))],
    "trust_env": [(False, False), (True, True)],
    "max_connections": [(1, 1)],
    "notification_queue_limit": [(1, 1)],
    "notification_spool": [("spool.db", Path("spool.db"))],
    "send_notification_func": [(on_failure, on_failure)],
    "hooks": [([HOOK], (HOOK,)), ((HOOK, HOOK), (HOOK, HOOK)), ([], ())],
}

NOT_A_TEXT: list[Any] = [3, b"bytes", ["list"], "line\nbreak", "lone \ud800 surrogate"]
NOT_AN_ID: list[Any] = [3.5, True, *NOT_A_TEXT[1:]]
NOT_A_HOST: list[Any] = [
    *NOT_A_TEXT,
    "https://host",
    "host/path",
    "user@host",
    "a b",
    "host?x",
    "host#x",
    "a\\b",
]
NOT_A_DURATION: list[Any] = [
    -2,
    -0.5,
    math.nan,
    math.inf,
    -math.inf,
    "300",
    True,
    [1],
    LONGEST_MS + 1,
    10**400,
]
NOT_A_COUNT: list[Any] = [0, -1, True, 1.5, "5", math.nan, 2**63]
NOT_A_BOOL: list[Any] = [0, 1, "yes", [True]]
NOT_A_PATH: list[Any] = [3, b"bytes", True, ["list"], "nul\0"]

REFUSED: dict[str, list[Any]] = {
    "client": [*NOT_A_HOST, "acme:80"],
    "organization_id": NOT_A_TEXT,
    "decisioning_method": ["remote", "On-Device", 3, ["hybrid"], [], {}, Logger],
    "timeout": [*NOT_A_DURATION, False],
    "server_domain": NOT_A_HOST,
    "secure": [],
    "target_location_hint": NOT_AN_ID,
    "environment_id": [True, 1.5, "5a", "9" * 30, 2**63],
    "property_token": NOT_AN_ID,
    "version": NOT_A_TEXT,
    "telemetry_enabled": NOT_A_BOOL,
    "logger": [Logger, object(), "logger", print],
    "events": [[on_ready], on_ready, "client_ready"],
    "polling_interval": NOT_A_DURATION,
    "maximum_wait_ready": [*NOT_A_DURATION, False],
    "artifact_location": [*NOT_A_PATH, "s3://bucket/rules.json"],
    "artifact_payload": [3, ["list"], True, "rules.json", "https://cdn.example/rules.bin", Path("rules")],
    "artifact_format": ["JSON", "zip", 3],
    "artifact_cache_dir": NOT_A_PATH,
    "artifact_max_bytes": NOT_A_COUNT,
    "environment": NOT_A_TEXT,
    "cdn_environment": NOT_A_TEXT,
    "cdn_base_path": [*NOT_A_TEXT, "ftp://cdn.example", "cdn.example?x=1", "user@cdn.example", "a b/c"],
    "geo_database": NOT_A_PATH,
    "geo_timeout": [*NOT_A_DURATION, 0, False],
    "transport": [Transport, AsyncTransport(), object()],
    "async_transport": [AsyncTransport, Transport(), object()],
    "proxy": ["proxy.example:3128", "ftp://proxy.example", "http://", "http://h:port", *NOT_A_TEXT],
    "ca_bundle": NOT_A_PATH,
    "trust_env": NOT_A_BOOL,
    "max_connections": NOT_A_COUNT,
    "notification_queue_limit": NOT_A_COUNT,
    "notification_spool": NOT_A_PATH,
    "send_notification_func": ["function", 3, {"a": 1}],
    "hooks": ["hook", 3, {"a": 1}, HOOK],
}


def rows(table: Mapping[str, list[Any]]) -> list[Any]:
    return [(name, value) for name, values in table.items() for value in values]


def id_of(row: tuple[str, Any]) -> str:
    name, value = row
    return f"{name}={value!r}"


def test_every_option_is_in_the_tables_of_these_tests() -> None:
    assert set(ACCEPTED) == set(REFUSED) == set(CLIENT_OPTIONS) == set(ClientSettings.__struct_fields__)


@each_case("name, case", rows(ACCEPTED), ids=id_of)
def test_option_is_converted_for_the_client(name: str, case: tuple[Any, Any]) -> None:
    value, kept = case
    result = getattr(client_settings({**NEEDED, name: value}, {}), name)
    assert (result, type(result)) == (kept, type(kept))


@each_case("name, value", rows(REFUSED), ids=id_of)
def test_invalid_option_raises_with_its_name(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        client_settings({**NEEDED, name: value}, {})
    assert caught.value.path == name


@each_case("nothing", [None, ""], ids=["None", "empty"])
@each_case("name", [name for name, default in CLIENT_DEFAULTS.items() if default is not REQUIRED])
def test_none_and_the_empty_text_mean_the_default(name: str, nothing: str | None) -> None:
    result = getattr(client_settings({**NEEDED, name: nothing}, {}), name)
    assert result == getattr(client_settings(NEEDED, {}), name) == CLIENT_DEFAULTS[name]


@each_case("name", CLIENT_OPTIONS)
def test_every_option_is_documented(name: str) -> None:
    option = CLIENT_OPTIONS[name]
    assert option.accepts
    assert option.meaning.endswith(".")


def test_documented_defaults() -> None:
    options = client_settings(NEEDED, {})
    assert options.decisioning_method is DecisioningMethod.SERVER_SIDE
    assert (options.timeout, options.polling_interval, options.maximum_wait_ready) == (3000, 300_000, 10_000)
    assert (options.secure, options.telemetry_enabled) == (True, True)
    assert (options.environment, options.cdn_environment) == ("production", "production")


REQUIRED_TEXT: dict[str, tuple[Any, str]] = {
    "None": (None, "Options are required"),
    "empty": ({}, "Options are required"),
    "empty list": ([], "Options are required"),
    "client missing": ({"organization_id": "A@AdobeOrg"}, "Client is required"),
    "client empty": ({**NEEDED, "client": ""}, "Client is required"),
    "client zero": ({**NEEDED, "client": 0}, "Client is required"),
    "client before organization": ({"timeout": -1}, "Client is required"),
    "organization missing": ({"client": "acme"}, "Organization Id is required"),
    "organization before method": (
        {"client": "acme", "decisioning_method": "x"},
        "Organization Id is required",
    ),
    "method before our checks": (
        {**NEEDED, "timeout": -1, "decisioning_method": "remote"},
        "Invalid Decisioning Method.  Must be set to one of: hybrid,on-device,server-side",
    ),
    "not internal": ({**NEEDED, "internal": False}, "Please use TargetClient.create static method instead"),
}


@each_case("options, text", REQUIRED_TEXT.values(), ids=REQUIRED_TEXT)
def test_official_checks_run_first_in_order_with_their_texts(options: Any, text: str) -> None:
    with pytest.raises(OptionError) as caught:
        client_settings(options, {})
    assert str(caught.value) == text


def test_internal_is_accepted_and_means_nothing() -> None:
    assert client_settings({**NEEDED, "internal": True}, {}).client == "acme"


def test_options_that_are_no_mapping_raise() -> None:
    with pytest.raises(OptionError, match=r"^options: must be a mapping, not list$"):
        client_settings([("client", "acme")], {})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"^options: must be a mapping, not list$"):
        client_settings([], NEEDED)  # type: ignore[arg-type]


def test_any_mapping_will_do_and_is_not_changed() -> None:
    given_options = {**NEEDED, "events": {"client_ready": on_ready}}
    before = {**given_options}
    assert client_settings(MappingProxyType(given_options), {}).client == "acme"
    assert given_options == before


def test_keywords_alone_or_with_a_mapping() -> None:
    assert client_settings(None, {**NEEDED, "timeout": 500}).timeout == 500
    assert client_settings(NEEDED, {"timeout": 500}).timeout == 500


def test_option_given_twice_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'client' twice"):
        client_settings(NEEDED, {"client": "other"})


def test_unknown_keyword_is_a_type_error_with_a_suggestion() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'time_out'; did you mean 'timeout'\?"):
        client_settings(NEEDED, {"time_out": 5})


WARNED = {
    "misspelt": ({"organisation_id": "A"}, "'organisation_id'; did you mean 'organization_id'?"),
    "camel case": ({"pollingInterval": 0}, "'pollingInterval'; did you mean 'polling_interval'?"),
    "far from all": ({"zzz": 1}, "unknown option 'zzz'"),
    "not a text": ({7: 1}, "unknown option 7"),
    "unknown event": ({"events": {"clientReady": on_ready}}, "'clientReady'; did you mean 'client_ready'?"),
    "timeout in seconds": ({"timeout": 3}, "did you mean 3000 instead of 3?"),
    "secure zero": ({"secure": 0}, "write False"),
    "secure text": ({"secure": "no"}, "write False"),
    "CDN environment": ({"cdn_environment": "moon"}, "so production is used"),
}


@each_case("odd, text", WARNED.values(), ids=WARNED)
def test_suspicious_value_emits_a_warning(odd: dict[str, Any], text: str) -> None:
    with pytest.warns(TargetryWarning) as caught:
        client_settings({**NEEDED, **odd}, {})
    assert text in str(caught[0].message)


def test_unusual_values_have_a_safe_meaning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TargetryWarning)
        options = client_settings({**NEEDED, "secure": 0, "cdn_environment": "moon"}, {})
    assert (options.secure, options.cdn_environment) == (True, "production")


@pytest.mark.parametrize(
    "handler", ["print", None, lambda one, two: None], ids=["text", "None", "two parameters"]
)
def test_invalid_handler_raises_with_its_event(handler: Any) -> None:
    with pytest.raises(OptionError) as caught:
        client_settings({**NEEDED, "events": {"client_ready": handler}}, {})
    assert caught.value.path == "events.client_ready"


def test_options_cannot_be_changed_afterwards() -> None:
    options = client_settings(NEEDED, {})
    with pytest.raises(AttributeError):
        options.timeout = 5  # type: ignore[misc]


SECRETS = {
    "proxy": ({"proxy": "http://user:pa55w0rd@proxy.example:3128"}, "http://***@proxy.example:3128"),
    "signed URL": (
        {"artifact_location": "https://cdn.example/rules.json?signature=pa55w0rd#x"},
        "https://cdn.example/rules.json",
    ),
    "payload": ({"artifact_payload": b'{"key": "pa55w0rd"}'}, "<bytes of 19>"),
    "parsed payload": ({"artifact_payload": {"key": "pa55w0rd"}}, "<dict of 1>"),
}


@each_case("secret, shown", SECRETS.values(), ids=SECRETS)
def test_repr_shows_no_secrets(secret: dict[str, Any], shown: str) -> None:
    text = repr(client_settings({**NEEDED, **secret}, {}))
    assert "pa55w0rd" not in text
    assert shown in text


def test_repr_shows_what_was_set() -> None:
    assert repr(client_settings({"client": "acme", "organization_id": "A@AdobeOrg", "timeout": 500}, {})) == (
        "ClientSettings(client='acme', organization_id='A@AdobeOrg', timeout=500)"
    )


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(list(CLIENT_OPTIONS)) | st.text(), json_like, max_size=4), st.booleans()
)
def test_any_value_returns_options_or_raises_option_error(options: dict[str, Any], complete: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TargetryWarning)
        with suppress(OptionError):
            assert repr(client_settings({**NEEDED, **options} if complete else options, {}))
