"""Options of a client: the table that documents and checks them, and checked settings.

`ClientOptions` is the one place that has the name, type, unit, meaning and check of each option:
type checkers, `help(TargetClient.create)`, `docs/options.md` and tests read it. `ClientSettings`
has the checked values, with the defaults.

Options are passed as one mapping, as keyword arguments, or both. An unknown name emits a
`TargetryWarning` in the mapping (the official package ignores it) and raises `TypeError` as a
keyword, as for any Python function. The checks of the official package come first, in its order and
with its texts. A wrong value raises `OptionError` with the option's name as path.
"""

# Annotations are evaluated here: the table of options is made of them.

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Protocol,
    Required,
    TypeAlias,
    TypedDict,
    TypeVar,
    get_origin,
)
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from targetry._runtime import validators
from targetry._runtime.defaults import MAX_CONNECTIONS, MAX_DOCUMENT_BYTES
from targetry._runtime.validators import Check, is_absent, is_false, is_given, suggestion, warn
from targetry.errors import OptionError
from targetry.events import EVENT_NAMES, Handler, takes_event
from targetry.hooks import Hook, checked_hooks
from targetry.http.protocol import AsyncTransport, Transport
from targetry.messages import MESSAGES
from targetry.models import DecisioningMethod
from targetry.models.containers import read_mapping
from targetry.models.scalars import plain_number, shown
from targetry.notifications.notifier import DEFAULT_QUEUE_LIMIT

_DEFAULT_TIMEOUT_MS: Final = 3000
_DEFAULT_WAIT_READY_MS: Final = 10_000
_LIKELY_MS: Final = 20  # a smaller timeout is likely in seconds
_METHODS: Final = {str(method): method for method in DecisioningMethod}


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Checked options of one client. Durations are in milliseconds."""

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
    notification_queue_limit: int = DEFAULT_QUEUE_LIMIT
    notification_spool: Path | None = None
    send_notification_func: Callable[[dict[str, Any]], Any] | None = None
    hooks: tuple[Hook, ...] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        values = ((name, getattr(self, name)) for name in CLIENT_OPTIONS)
        return [
            (name, shown_option(name, value)) for name, value in values if value is not CLIENT_DEFAULTS[name]
        ]

    def __repr__(self) -> str:
        """Return the options that were set, without passwords, queries of URLs, and payloads."""
        return f"ClientSettings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def client_settings(options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> ClientSettings:
    """Check the options of `create`.

    Raises:
        OptionError: An option is wrong or missing.
        TypeError: A keyword is not an option, or an option is given twice.
    """
    given = merge_options("create", options, keywords, _KNOWN)
    if not given:
        raise OptionError("options", "are required", MESSAGES["OPTIONS_REQUIRED"])
    _check_as_official(given)
    for name in given:
        if name not in _KNOWN:
            warn(f"create() ignores the unknown option {shown(name)}{suggestion(name, _KNOWN)}")
    values: dict[str, Any] = {}
    for name, option in CLIENT_OPTIONS.items():
        value = given.get(name)
        if is_given(value):
            values[name] = option.check(name, value)
    return ClientSettings(**values)


def merge_options(
    call: str, options: Mapping[str, Any] | None, keywords: Mapping[str, Any], known: Collection[str]
) -> Mapping[str, Any]:
    """Return the options of one call from its mapping and its keywords.

    Raises:
        OptionError: `options` is not a mapping.
        TypeError: A keyword is not in `known`, or an option is given twice.
    """
    for name in keywords:
        if name not in known:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}{suggestion(name, known)}")
    if options is None or (is_false(options) and not keywords):
        return keywords
    if not isinstance(options, Mapping):
        raise OptionError("options", f"must be a mapping, not {type(options).__name__}")
    given = validators.convert("options", read_mapping, options) or {}
    for name in given:
        if name in keywords:
            raise TypeError(
                f"{call}() got option {shown(name)} twice, in the mapping and as keyword argument"
            )
    return {**given, **keywords}


def decisioning_method(path: str, value: object) -> DecisioningMethod:
    """Return the method of a string, or of a member of any enum that has its value or name.

    Raises:
        OptionError: There is no such method.
    """
    meant = (value.value, value.name.lower().replace("_", "-")) if isinstance(value, Enum) else (value,)
    for name in meant:
        if isinstance(name, str) and name in _METHODS:
            return _METHODS[name]
    text = MESSAGES["DECISIONING_METHOD_INVALID"]
    raise OptionError(path, f"must be one of {', '.join(_METHODS)}", text)


def _check_as_official(given: Mapping[str, Any]) -> None:
    if is_false(given.get("client")):
        raise OptionError("client", "is required", MESSAGES["CLIENT_REQUIRED"])
    if is_false(given.get("organization_id")):
        raise OptionError("organization_id", "is required", MESSAGES["ORG_ID_REQUIRED"])
    if not is_absent(method := given.get("decisioning_method")):
        decisioning_method("decisioning_method", method)
    if is_false(given.get("internal", True)):
        raise OptionError("internal", "must not be false", MESSAGES["PRIVATE_CONSTRUCTOR"])


def _method(path: str, value: Any) -> DecisioningMethod:
    return DecisioningMethod.SERVER_SIDE if is_absent(value) else decisioning_method(path, value)


def _timeout(path: str, value: Any) -> float:
    if validators.convert(path, plain_number, value) == 0:  # as in the official package
        return _DEFAULT_TIMEOUT_MS
    timeout = validators.positive_ms(path, value)
    if timeout < _LIKELY_MS:
        warn(f"timeout is in milliseconds: did you mean {timeout * 1000:g} instead of {timeout:g}?")
    return timeout


def _polling_interval(path: str, value: Any) -> float:
    return 0 if value is False else validators.interval_ms(path, value)  # both switch polling off in 1.1.0


def _maximum_wait(path: str, value: Any) -> float | None:
    if validators.convert(path, plain_number, value) == -1:  # the official package's constant for "no bound"
        return None
    return validators.interval_ms(path, value)


def _environment(path: str, value: Any) -> str:
    return validators.text(path, value).lower()


def _cdn_environment(path: str, value: Any) -> str:
    name = validators.text(path, value).lower()
    if name in ("production", "staging", "development"):
        return name
    warn(f"{path}: {shown(value)} is unknown, so production is used; use production, staging or development")
    return "production"


def _events(path: str, value: Any) -> dict[str, Handler]:
    if not isinstance(value, Mapping):
        raise OptionError(path, f"must be a mapping from event name to callable, not {type(value).__name__}")
    entries: dict[str, Handler] | None = validators.convert(path, read_mapping, value)
    handlers = entries or {}
    for name, handler in handlers.items():
        takes_event(f"{path}.{name}", handler)
        if name not in EVENT_NAMES:
            warn(f"{path}: there is no event {shown(name)}{suggestion(name, EVENT_NAMES)}")
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


Function = TypeVar("Function", bound=Callable[..., Any])


class OptionInfo(msgspec.Struct, frozen=True):
    """Metadata of one option: how it is checked, what it accepts and what it means."""

    check: Check
    accepts: str
    meaning: str


class ClientLogger(Protocol):
    """Any object with these methods; a `logging.Logger` is one."""

    @property
    def debug(self) -> Callable[..., object]:
        """Log a message, with the arguments of its placeholders."""

    @property
    def error(self) -> Callable[..., object]:
        """Log a message, with the arguments of its placeholders."""


FilePath: TypeAlias = str | os.PathLike[str]
MethodName: TypeAlias = Literal["server-side", "on-device", "hybrid"]


class ClientOptions(TypedDict, total=False):
    """Options of `TargetClient.create` and `AsyncTargetClient.create`, as a dict or as keywords.

    `client` and `organization_id` are required. None means that an option is absent.
    """

    client: Annotated[str, OptionInfo(validators.client_code, "str", "Client code of the Target account.")]
    organization_id: Annotated[
        str, OptionInfo(validators.text, "str", "Experience Cloud organization id, `…@AdobeOrg`.")
    ]
    decisioning_method: Annotated[
        MethodName | Enum | None,
        OptionInfo(
            _method,
            "`server-side`, `on-device`, `hybrid`, or an enum member of that value or name",
            "Default decisioning method of calls.",
        ),
    ]
    timeout: Annotated[
        float | None,
        OptionInfo(
            _timeout,
            "milliseconds",
            "Limit of each request to the Delivery API as a whole; 0 means the default.",
        ),
    ]
    server_domain: Annotated[
        str | None,
        OptionInfo(validators.host, "host or host:port", "Host instead of `<client>.tt.omtrdc.net`."),
    ]
    secure: Annotated[bool | None, OptionInfo(validators.secure, "bool", "HTTPS, unless exactly `False`.")]
    target_location_hint: Annotated[
        str | int | None, OptionInfo(validators.id_text, "str or int", "Edge cluster of the first calls.")
    ]
    environment_id: Annotated[
        int | str | None,
        OptionInfo(
            validators.whole_number_or_digits,
            "int, or its digits",
            "Target environment of requests without one.",
        ),
    ]
    property_token: Annotated[
        str | UUID | None,
        OptionInfo(
            validators.id_text,
            "str or UUID",
            "Property of requests without one, and of the artifact.",
        ),
    ]
    version: Annotated[
        str | None, OptionInfo(validators.text, "str", "Value of the API's `version` parameter.")
    ]
    telemetry_enabled: Annotated[
        bool | None,
        OptionInfo(validators.boolean, "bool", "`False` disables reports of usage and timings to Adobe."),
    ]
    logger: Annotated[
        ClientLogger | None,
        OptionInfo(
            validators.with_methods("debug", "error"),
            "object with debug() and error()",
            "Default: `logging.getLogger('adobe.target')`.",
        ),
    ]
    events: Annotated[
        Mapping[str, Handler] | None,
        OptionInfo(_events, "dict of event name → callable", "Handlers of [events](events.md)."),
    ]
    polling_interval: Annotated[
        float | None,
        OptionInfo(
            _polling_interval,
            "milliseconds; 0 for never",
            "Time between polls for a new artifact; at least 5 minutes on Adobe's CDN, 1 second elsewhere.",
        ),
    ]
    maximum_wait_ready: Annotated[
        float | None,
        OptionInfo(
            _maximum_wait,
            "milliseconds; -1 for no separate limit",
            "How long `create` waits for the first artifact. Polling continues after that. -1 waits until the first "
            "round of attempts is over, which takes up to 45 s.",
        ),
    ]
    artifact_location: Annotated[
        FilePath | None,
        OptionInfo(
            validators.location,
            "URL, file:// URL or path",
            "The artifact, instead of the one on the CDN. Traces, events, logs and `stats()` show a URL without "
            "user, password, query and fragment; its path is shown, so it must not contain a token.",
        ),
    ]
    artifact_payload: Annotated[
        Mapping[str, Any] | bytes | str | None,
        OptionInfo(validators.payload, "dict, bytes or str", "The first artifact."),
    ]
    artifact_format: Annotated[
        Literal["json", "bin"] | None,
        OptionInfo(
            validators.one_of("json", "bin"),
            "`json` or `bin`",
            "Default: the suffix of the location, else `json`.",
        ),
    ]
    artifact_cache_dir: Annotated[
        FilePath | None,
        OptionInfo(validators.file_path, "path", "Folder for a copy of the last usable artifact."),
    ]
    artifact_max_bytes: Annotated[
        int | None, OptionInfo(validators.count, "bytes", "A larger artifact is rejected.")
    ]
    environment: Annotated[
        str | None, OptionInfo(_environment, "str", "Target environment whose artifact is used; lower-cased.")
    ]
    cdn_environment: Annotated[
        str | None,
        OptionInfo(
            _cdn_environment,
            "`production`, `staging` or `development`",
            "Adobe's CDN that serves the artifact.",
        ),
    ]
    cdn_base_path: Annotated[
        str | None,
        OptionInfo(validators.base_path, "host[/path] or URL", "Another CDN, for artifact and geo lookups."),
    ]
    geo_database: Annotated[
        FilePath | None,
        OptionInfo(
            validators.file_path, "path of an .mmdb file", "Geo lookups in this file, without the network."
        ),
    ]
    geo_timeout: Annotated[
        float | None, OptionInfo(validators.positive_ms, "milliseconds", "Limit of one geo lookup.")
    ]
    transport: Annotated[
        Transport | None,
        OptionInfo(
            validators.with_methods("send", "close"), "Transport", "Sends the requests of `TargetClient`."
        ),
    ]
    async_transport: Annotated[
        AsyncTransport | None,
        OptionInfo(
            validators.with_methods("send", "aclose"),
            "AsyncTransport",
            "Sends the calls of `AsyncTargetClient`; its reports and artifacts use `transport`.",
        ),
    ]
    proxy: Annotated[str | None, OptionInfo(validators.proxy, "URL", "Proxy of all requests.")]
    ca_bundle: Annotated[
        FilePath | None,
        OptionInfo(validators.file_path, "path of a PEM file", "Certificate authorities to trust."),
    ]
    trust_env: Annotated[
        bool | None,
        OptionInfo(
            validators.boolean, "bool", "Use `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and the like."
        ),
    ]
    max_connections: Annotated[
        int | None, OptionInfo(validators.count, "int", "Limit on the connections in the pool.")
    ]
    notification_queue_limit: Annotated[
        int | None,
        OptionInfo(
            validators.count, "int", "Limit on waiting notifications; others are dropped and counted."
        ),
    ]
    notification_spool: Annotated[
        FilePath | None,
        OptionInfo(validators.file_path, "path of a folder", "Spool folder for unsent notifications."),
    ]
    send_notification_func: Annotated[
        Callable[[dict[str, Any]], object] | None,
        OptionInfo(
            validators.function,
            'callable, given {"request": DeliveryRequest, "visitor": …}',
            "Called with each request of notifications or telemetry, which is then not sent.",
        ),
    ]
    hooks: Annotated[
        Sequence[Hook] | None,
        OptionInfo(
            checked_hooks,
            "sequence of [hooks](hooks.md)",
            "Observers of calls, impressions, the artifact and HTTP requests.",
        ),
    ]


def options_in(typed_dict: Any) -> dict[str, OptionInfo]:
    """Return the metadata of the options of a TypedDict, in order."""
    found: dict[str, OptionInfo] = {}
    for name, annotation in typed_dict.__annotations__.items():
        required = annotation.__args__[0] if get_origin(annotation) is Required else annotation
        found[name] = required.__metadata__[0]
    return found


def options_section(options: Mapping[str, OptionInfo], defaults: Mapping[str, Any] = {}) -> str:
    """Return the section of a docstring that lists options: unit or type, default and meaning."""
    lines = ["Options:"]
    for name, option in options.items():
        default = defaults.get(name)
        extra = "; required" if default is REQUIRED else "" if default is None else f"; default {default}"
        lines += [f"    {name} ({option.accepts}{extra}):", f"        {option.meaning}"]
    return "\n".join(lines)


def documented(section: str) -> Callable[[Function], Function]:
    """Return a decorator that appends a section to a docstring, for `help`."""

    def document(function: Function) -> Function:
        if function.__doc__ is not None:  # it is with python -OO
            indented = section.replace("\n", "\n        ")
            function.__doc__ = f"{function.__doc__.rstrip()}\n\n        {indented}\n        "
        return function

    return document


REQUIRED: Final = msgspec.NODEFAULT
CLIENT_OPTIONS: Final = options_in(ClientOptions)
_REQUIRED_OPTIONS: Final = len(ClientSettings.__struct_fields__) - len(ClientSettings.__struct_defaults__)
CLIENT_DEFAULTS: Final[dict[str, Any]] = dict(
    zip(
        ClientSettings.__struct_fields__,
        (REQUIRED,) * _REQUIRED_OPTIONS + ClientSettings.__struct_defaults__,
        strict=True,
    )
)
_KNOWN: Final = (*CLIENT_OPTIONS, "internal")
CLIENT_SECTION: Final = options_section(CLIENT_OPTIONS, CLIENT_DEFAULTS)
