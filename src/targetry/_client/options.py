"""The options of a client, checked once at the door and fixed after that (spec/client.md §2 and §3).

`CLIENT_OPTIONS` is the table of them all: how each is checked, what it accepts and what it means; documentation and
tests read it. The official package's checks come first, in its order and with its texts; ours follow in the
order of the table. What is wrong is an `OptionError` with the option's name as path, what is merely odd a `TargetryWarning`.

Options come as one mapping, as keyword arguments, or both. A name that is not known is a warning in the mapping
(the official package ignores it) and a `TypeError` as keyword, as for any Python function.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from targetry._runtime import validators
from targetry._runtime.defaults import MAX_CONNECTIONS, MAX_DOCUMENT_BYTES
from targetry._runtime.validators import Check, falsy, is_given, nearest, warn
from targetry.errors import OptionError
from targetry.events import EVENT_NAMES, Handler, takes_event
from targetry.messages import MESSAGES
from targetry.models import DecisioningMethod
from targetry.models.containers import read_mapping
from targetry.models.scalars import plain_number, shown

if TYPE_CHECKING:
    from targetry.http.protocol import AsyncTransport, Transport

_DEFAULT_TIMEOUT_MS: Final = 3000
_DEFAULT_WAIT_READY_MS: Final = 10_000
_LIKELY_MS: Final = 20  # of less, seconds are meant
_METHODS: Final = {str(method): method for method in DecisioningMethod}


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The options of one client, checked. Durations are milliseconds; `CLIENT_OPTIONS` says what each means."""

    client: str
    organization_id: str
    decisioning_method: DecisioningMethod = DecisioningMethod.SERVER_SIDE
    timeout: float = _DEFAULT_TIMEOUT_MS
    server_domain: str | None = None
    secure: bool = True
    target_location_hint: str | None = None
    environment_id: int | None = None
    property_token: str | None = None
    version: str | None = None
    telemetry_enabled: bool = True
    logger: Any = None
    events: Mapping[str, Handler] | None = None
    polling_interval: float = 300_000
    maximum_wait_ready: float | None = _DEFAULT_WAIT_READY_MS
    artifact_location: str | Path | None = None
    artifact_payload: Mapping[str, Any] | bytes | str | None = None
    artifact_format: str | None = None
    artifact_cache_dir: Path | None = None
    artifact_max_bytes: int = MAX_DOCUMENT_BYTES
    environment: str = "production"
    cdn_environment: str = "production"
    cdn_base_path: str | None = None
    geo_database: Path | None = None
    geo_timeout: float = 1000
    transport: Transport | None = None
    async_transport: AsyncTransport | None = None
    proxy: str | None = None
    ca_bundle: Path | None = None
    trust_env: bool = True
    max_connections: int = MAX_CONNECTIONS
    notification_queue_limit: int = 10_000
    notification_spool: Path | None = None
    send_notification_func: Callable[[dict[str, Any]], Any] | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = ((name, getattr(self, name)) for name in CLIENT_OPTIONS)
        return [
            (name, shown_option(name, value))
            for name, value in values
            if value is not CLIENT_OPTIONS[name].default
        ]

    def __repr__(self) -> str:
        """What was set, without passwords, queries of signed URLs, and payloads."""
        return f"ClientSettings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def client_settings(options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> ClientSettings:
    """Check the options of `TargetClient.create`.

    Raises `OptionError`, or `TypeError` for a keyword that is no option, or given twice.
    """
    given = merged("create", options, keywords, _KNOWN)
    if not given:
        raise OptionError("options", "are required", MESSAGES["OPTIONS_REQUIRED"])
    _check_as_official(given)
    for name in given:
        if name not in _KNOWN:
            warn(f"create() ignores the unknown option {shown(name)}{nearest(name, _KNOWN)}")
    values: dict[str, Any] = {}
    for name, option in CLIENT_OPTIONS.items():
        value = given.get(name)
        if is_given(value):
            values[name] = option.check(name, value)
    return ClientSettings(**values)


def merged(
    call: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any], known: Collection[str]
) -> Mapping[str, Any]:
    """The options of one call, given either way."""
    for name in keywords:
        if name not in known:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}{nearest(name, known)}")
    if falsy(options):
        return keywords
    if not isinstance(options, Mapping):
        raise OptionError("options", f"must be a mapping, not {type(options).__name__}")
    given = validators.copied("options", read_mapping, options) or {}
    for name in given:
        if name in keywords:
            raise TypeError(
                f"{call}() got option {shown(name)} twice, in the mapping and as keyword argument"
            )
    return {**given, **keywords}


def decisioning_method(path: str, value: object) -> DecisioningMethod:
    """The method that a string, or a member of anyone's enum by its value or name (B-52), stands for."""
    meant = (value.value, value.name.lower().replace("_", "-")) if isinstance(value, Enum) else (value,)
    for name in meant:
        if isinstance(name, str) and name in _METHODS:
            return _METHODS[name]
    text = MESSAGES["DECISIONING_METHOD_INVALID"]
    raise OptionError(path, f"must be one of {', '.join(_METHODS)}", text)


def _check_as_official(given: Mapping[str, Any]) -> None:
    if falsy(given.get("client")):
        raise OptionError("client", "is required", MESSAGES["CLIENT_REQUIRED"])
    if falsy(given.get("organization_id")):
        raise OptionError("organization_id", "is required", MESSAGES["ORG_ID_REQUIRED"])
    if not falsy(method := given.get("decisioning_method")):
        decisioning_method("decisioning_method", method)
    if falsy(given.get("internal", True)):
        raise OptionError("internal", "must not be false", MESSAGES["PRIVATE_CONSTRUCTOR"])


def _method(path: str, value: Any) -> DecisioningMethod:
    return DecisioningMethod.SERVER_SIDE if falsy(value) else decisioning_method(path, value)


def _timeout(path: str, value: Any) -> float:
    if validators.copied(path, plain_number, value) == 0:  # which has always meant the default
        return _DEFAULT_TIMEOUT_MS
    timeout = validators.positive_ms(path, value)
    if timeout < _LIKELY_MS:
        warn(f"timeout is in milliseconds: did you mean {timeout * 1000:g} instead of {timeout:g}?")
    return timeout


def _polling_interval(path: str, value: Any) -> float:
    return 0 if value is False else validators.interval_ms(path, value)  # both switch polling off in 1.1.0


def _maximum_wait(path: str, value: Any) -> float | None:
    if validators.copied(path, plain_number, value) == -1:  # the official package's constant for "no bound"
        return None
    return validators.interval_ms(path, value)


def _environment(path: str, value: Any) -> str:
    return validators.text(path, value).lower()


def _cdn_environment(path: str, value: Any) -> str:
    name = validators.text(path, value).lower()
    if name in ("production", "staging", "development"):
        return name
    warn(
        f"{path}: {shown(value)} is not known, so production is used; the others are staging and development"
    )
    return "production"


def _events(path: str, value: Any) -> dict[str, Handler]:
    if not isinstance(value, Mapping):
        raise OptionError(path, f"must be a mapping from event name to callable, not {type(value).__name__}")
    entries: dict[str, Handler] | None = validators.copied(path, read_mapping, value)
    handlers = entries or {}
    for name, handler in handlers.items():
        takes_event(f"{path}.{name}", handler)
        if name not in EVENT_NAMES:
            warn(f"{path}: there is no event {shown(name)}{nearest(name, EVENT_NAMES)}")
    return handlers


def shown_option(name: str, value: Any) -> Any:
    """Return the value of an option without passwords, queries of signed URLs, and payloads."""
    if name == "artifact_payload":
        size = f" of {len(value)}" if isinstance(value, Mapping | bytes | str) else ""
        return f"<{type(value).__name__}{size}>"
    if name in ("proxy", "artifact_location") and isinstance(value, str):
        try:
            url = urlsplit(value)
        except ValueError:
            return "***"
        host = url.netloc.rpartition("@")[2]
        return url._replace(
            netloc=f"***@{host}" if "@" in url.netloc else host, query="", fragment=""
        ).geturl()
    return value


class Option(msgspec.Struct, frozen=True):
    """One row of `CLIENT_OPTIONS`; `default` is `REQUIRED` where there is none."""

    check: Check
    accepts: str
    meaning: str
    default: Any


REQUIRED: Final = msgspec.NODEFAULT

_A_TRANSPORT = validators.having("send", "close")
_AN_ASYNC_TRANSPORT = validators.having("send", "aclose")
_A_LOGGER = validators.having("debug", "error")

# option → (check, what it accepts, what it means)
_ROWS: Final[dict[str, tuple[Check, str, str]]] = {
    "client": (validators.client_code, "str", "Client code of the Target account."),
    "organization_id": (validators.text, "str", "Experience Cloud organization id, `…@AdobeOrg`."),
    "decisioning_method": (
        _method,
        "`server-side`, `on-device`, `hybrid`, or an enum member of that value or name",
        "Who decides, where a call does not say.",
    ),
    "timeout": (_timeout, "ms", "Bounds each request to the Delivery API as a whole; 0 is the default."),
    "server_domain": (validators.host, "host or host:port", "Asked instead of `<client>.tt.omtrdc.net`."),
    "secure": (validators.secure, "bool", "HTTPS, unless exactly `False`."),
    "target_location_hint": (validators.id_text, "str or int", "Edge cluster to start with."),
    "environment_id": (
        validators.whole_number_or_digits,
        "int, or its digits",
        "Target environment of requests that name none.",
    ),
    "property_token": (
        validators.id_text,
        "str or UUID",
        "Property of requests that name none, and of the artifact.",
    ),
    "version": (validators.text, "str", "Passed on to the API as its `version` parameter."),
    "telemetry_enabled": (
        validators.boolean,
        "bool",
        "`False`: Adobe is told nothing about usage and timings.",
    ),
    "logger": (_A_LOGGER, "object with debug() and error()", "Default: `logging.getLogger('adobe.target')`."),
    "events": (_events, "dict of event name → callable", "Who is told what; spec/client.md §5."),
    "polling_interval": (
        _polling_interval,
        "ms; 0 for never",
        "Between looks for a new artifact; at least 5 minutes on Adobe's CDN, 1 second elsewhere.",
    ),
    "maximum_wait_ready": (
        _maximum_wait,
        "ms; -1 for no bound of its own",
        "How long `create` waits for the first artifact. Polling continues after that. -1 waits until the first round "
        "of attempts is over, which may take 45 s.",
    ),
    "artifact_location": (
        validators.location,
        "URL, file:// URL or path",
        "The artifact, instead of its place on the CDN. Traces, events, logs and `stats()` show a URL without user, "
        "password, query and fragment; its path is shown, so it must hold no token.",
    ),
    "artifact_payload": (validators.payload, "dict, bytes or str", "The artifact to begin with."),
    "artifact_format": (
        validators.one_of("json", "bin"),
        "`json` or `bin`",
        "Default: as the location's name ends, else `json`.",
    ),
    "artifact_cache_dir": (validators.file_path, "path", "Keeps the last good artifact on disk."),
    "artifact_max_bytes": (validators.count, "int, bytes", "A larger artifact is refused."),
    "environment": (_environment, "str", "Target environment whose artifact is used; lower-cased."),
    "cdn_environment": (
        _cdn_environment,
        "`production`, `staging` or `development`",
        "Which of Adobe's CDNs.",
    ),
    "cdn_base_path": (
        validators.base_path,
        "host[/path]",
        "A CDN of one's own, for artifact and geo lookups.",
    ),
    "geo_database": (
        validators.file_path,
        "path of an .mmdb file",
        "Geo lookups here, instead of over the network.",
    ),
    "geo_timeout": (validators.positive_ms, "ms", "Bounds one geo lookup."),
    "transport": (_A_TRANSPORT, "Transport", "Sends the requests of `TargetClient`."),
    "async_transport": (
        _AN_ASYNC_TRANSPORT,
        "AsyncTransport",
        "Sends the calls of `AsyncTargetClient`; its reports and artifacts go by `transport`.",
    ),
    "proxy": (validators.proxy, "URL", "Proxy of all requests."),
    "ca_bundle": (validators.file_path, "path of a PEM file", "Certificate authorities to trust."),
    "trust_env": (
        validators.boolean,
        "bool",
        "Heed `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and the like.",
    ),
    "max_connections": (validators.count, "int", "Connections kept at most."),
    "notification_queue_limit": (
        validators.count,
        "int",
        "Notifications waiting at most; more are dropped and counted.",
    ),
    "notification_spool": (validators.file_path, "path of a folder", "Keeps unsent notifications on disk."),
    "send_notification_func": (
        validators.function,
        'callable, given {"request": DeliveryRequest, "visitor": …}',
        "Called with each request of notifications or telemetry, which is then not sent.",
    ),
}

_REQUIRED_OPTIONS: Final = len(ClientSettings.__struct_fields__) - len(ClientSettings.__struct_defaults__)
_DEFAULTS: Final = dict(
    zip(
        ClientSettings.__struct_fields__,
        (REQUIRED,) * _REQUIRED_OPTIONS + ClientSettings.__struct_defaults__,
        strict=True,
    )
)

CLIENT_OPTIONS: Final = {name: Option(*row, _DEFAULTS[name]) for name, row in _ROWS.items()}

_KNOWN: Final = (*CLIENT_OPTIONS, "internal")
