"""Arguments that `offers` and `explain` share, and the request they describe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_type_hints

import msgspec
import typer

from targetry.cli.rendering.output import wrong_option
from targetry.cli.rendering.signature import parameter, set_signature
from targetry.models import (
    Address,
    ChannelType,
    Context,
    DeliveryRequest,
    ExecuteRequest,
    Geo,
    MboxRequest,
    ModelProperty,
    PrefetchRequest,
    RequestDetails,
    ViewRequest,
    VisitorId,
)


def _request_option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help, metavar=metavar, show_default=False, rich_help_panel="Locations")


def _visitor_option(*names: str, help: str, metavar: str) -> Any:
    return typer.Option(
        *names,
        help=help,
        metavar=metavar,
        show_default=False,
        rich_help_panel="Visitor",
    )


def _decision_option(*names: str, help: str, metavar: str) -> Any:
    return typer.Option(
        *names, help=help, metavar=metavar, show_default=False, rich_help_panel="Rules and time"
    )


ArtifactFile = Annotated[
    str | None,
    _decision_option(
        "--artifact",
        "-a",
        metavar="FILE",
        help="A rules.json or rules.bin: a file, a URL, git:REF:FILE, or '-' for stdin. Default: the shop that comes with Targetry.",
    ),
]
OrganizationId = Annotated[
    str | None,
    _decision_option("--organization-id", metavar="ID", help="The …@AdobeOrg of a rules.bin."),
]


class RequestArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of a decision, with one field for each."""

    mbox: Annotated[
        list[str] | None, _request_option("--mbox", "-m", metavar="NAME", help="An mbox; repeatable.")
    ] = None
    page_load: Annotated[bool, _request_option("--page-load", help="The offers of the page itself.")] = False
    view: Annotated[
        list[str] | None,
        _request_option("--view", metavar="NAME", help="A view, '*' for all of them; repeatable."),
    ] = None
    prefetch: Annotated[
        bool, _request_option("--prefetch", help="Prefetch mboxes and page load, as views always are.")
    ] = False

    tnt_id: Annotated[
        str | None, _visitor_option("--tnt-id", metavar="ID", help="Target's id for the visitor.")
    ] = None
    third_party_id: Annotated[
        str | None, _visitor_option("--third-party-id", metavar="ID", help="Your id for the visitor.")
    ] = None
    ecid: Annotated[str | None, _visitor_option("--ecid", metavar="ID", help="The Experience Cloud id.")] = (
        None
    )
    param: Annotated[
        list[str] | None,
        _visitor_option("--param", "-p", metavar="NAME=VALUE", help="A parameter; repeatable."),
    ] = None
    url: Annotated[str | None, _visitor_option("--url", metavar="URL", help="The page.")] = None
    referrer: Annotated[
        str | None, _visitor_option("--referrer", metavar="URL", help="The previous page.")
    ] = None
    user_agent: Annotated[
        str | None, _visitor_option("--user-agent", metavar="TEXT", help="The browser's User-Agent.")
    ] = None
    geo: Annotated[
        list[str] | None,
        _visitor_option(
            "--geo", metavar="NAME=VALUE,…", help="Geo location: country, region, city, latitude, longitude."
        ),
    ] = None
    property_token: Annotated[
        str | None, _visitor_option("--property", metavar="TOKEN", help="The token of the property.")
    ] = None

    artifact: ArtifactFile = None
    organization_id: OrganizationId = None
    client: Annotated[
        str | None,
        _decision_option("--client", metavar="CODE", help="The client code. Default: the artifact's."),
    ] = None
    time: Annotated[
        str | None,
        _decision_option(
            "--time", metavar="ISO", help="Time of the decision, UTC without an offset. Default: now."
        ),
    ] = None

    def now_ms(self) -> int | None:
        """Return the time of the decision in epoch ms, None for now. Raises `BadParameter`."""
        return None if self.time is None else _epoch_ms(self.time)

    def request(self) -> DeliveryRequest:
        """Return the request. Raises `BadParameter`."""
        if not (self.mbox or self.page_load or self.view):
            raise typer.BadParameter("no location: give --mbox NAME, --page-load or --view NAME")
        if "" in (self.mbox or ()) or "" in (self.view or ()):
            raise typer.BadParameter("the name of an mbox or a view must not be empty")
        parameters = dict(_pair("--param", text) for text in self.param or ()) or None
        mboxes = [MboxRequest(name=name, parameters=parameters) for name in self.mbox or ()] or None
        page_load = RequestDetails(parameters=parameters) if self.page_load else None
        views = [ViewRequest(name=_view(name), parameters=parameters) for name in self.view or ()] or None
        execute = prefetch = None
        if self.prefetch:
            prefetch = PrefetchRequest(views, page_load, mboxes)
        else:
            execute = ExecuteRequest(page_load, mboxes) if mboxes or page_load else None
            prefetch = PrefetchRequest(views) if views else None
        token = ModelProperty(self.property_token) if self.property_token else None
        return DeliveryRequest(
            id=self._visitor_id(),
            _property=token,
            context=self._context(),
            execute=execute,
            prefetch=prefetch,
        )

    def _visitor_id(self) -> VisitorId | None:
        given = VisitorId(
            tnt_id=self.tnt_id, third_party_id=self.third_party_id, marketing_cloud_visitor_id=self.ecid
        )
        return given if given != VisitorId() else None

    def _context(self) -> Context:
        return Context(
            channel=ChannelType.WEB,
            address=Address(self.url, self.referrer) if self.url or self.referrer else None,
            user_agent=self.user_agent,
            geo=_geo(self.geo) if self.geo else None,
        )


def with_request_arguments(command: Callable[[RequestArguments, Any], None]) -> Callable[..., None]:
    """Return a command with the fields of `RequestArguments` and `output` as its parameters."""

    def run(*, output: Any, **given: Any) -> None:
        command(RequestArguments(**given), output)

    hints = get_type_hints(RequestArguments, include_extras=True)
    defaults = {field.name: field.default for field in msgspec.structs.fields(RequestArguments)}
    output = (
        inspect.signature(command, eval_str=True)
        .parameters["output"]
        .replace(kind=inspect.Parameter.KEYWORD_ONLY)
    )
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    set_signature(run, [*(parameter(name, hint, defaults[name]) for name, hint in hints.items()), output])
    return run


def _view(name: str) -> str | None:
    return None if name == "*" else name


_PLACE_FIELDS: Final = {
    "country": "country_code",
    "region": "state_code",
    "city": "city",
    "latitude": "latitude",
    "longitude": "longitude",
}


def _geo(texts: list[str]) -> Geo:
    geo = Geo()
    for text in ",".join(texts).split(","):
        name, value = _pair("--geo", text)
        field = _PLACE_FIELDS.get(name)
        if field is None:
            raise wrong_option("--geo", f"there is no {name!r}, only {', '.join(_PLACE_FIELDS)}")
        setattr(geo, field, _degrees(name, value) if name in ("latitude", "longitude") else value)
    return geo


def _degrees(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise wrong_option("--geo", f"the {name} must be a number, not {text!r}") from None


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise wrong_option(option, f"must be NAME=VALUE, not {text!r}")
    return name.strip(), value


def _epoch_ms(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise wrong_option("--time", f"must be a time such as 2026-11-27T18:00, not {text!r}") from None
