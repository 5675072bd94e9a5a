"""Form of a question: the fields of a delivery request that a person fills in.

The fields are those of a query, so an address has the whole question. The field `more` is JSON with
all that the other fields cannot express; they complete it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from targetry.edge.http.errors import RequestRejected
from targetry.edge.ui.request_copies import document_of
from targetry.models import DeliveryRequest
from targetry.models.constraint import ConstraintError
from targetry.models.json_text import parse_json

LONGEST_QUERY: Final = 24_000
"""Characters of a query whose head the edge accepts."""

_EVERY_VIEW: Final = "*"
_IDS: Final = {"tnt_id": "tntId", "third_party_id": "thirdPartyId", "ecid": "marketingCloudVisitorId"}
_ADDRESS: Final = {"url": "url", "referrer": "referringUrl"}
_GEO: Final = {"country": "countryCode", "region": "stateCode", "city": "city", "ip": "ipAddress"}
_LISTS: Final = ("mbox", "view", "param", "force")
_MODES: Final = ("execute", "prefetch")


class AskForm(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Fields of the form, all texts; a list has one item for each line.

    `param` has parameters of all places as `name=value`, `force` experiences to show as
    `activity:experience` ids. `time` is in ISO form, empty for now. `more` is JSON.
    """

    client: str = ""
    mbox: list[str] = []
    page_load: str = ""
    view: list[str] = []
    mode: str = "execute"
    tnt_id: str = ""
    third_party_id: str = ""
    ecid: str = ""
    url: str = ""
    referrer: str = ""
    user_agent: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    ip: str = ""
    param: list[str] = []
    property_token: str = ""
    time: str = ""
    force: list[str] = []
    more: str = ""

    @classmethod
    def read(cls, fields: Iterable[tuple[str, str]]) -> AskForm:
        """Return the form of a query's fields; unknown ones are ignored."""
        form = cls()
        for name, value in fields:
            if name in _LISTS:
                getattr(form, name).extend(line.strip() for line in value.splitlines() if line.strip())
            elif name in cls.__struct_fields__ and value.strip():
                setattr(form, name, value.strip())
        return form

    @classmethod
    def of(cls, request: DeliveryRequest, client: str) -> AskForm:
        """Return the form of a request; its ids of the request itself are left out."""
        document = document_of(request)
        form = cls(client=client)
        context = document.get("context", {})
        _take(form, document.get("id", {}), _IDS)
        _take(form, context, {"user_agent": "userAgent"})
        _take(form, context.get("address", {}), _ADDRESS)
        _take(form, context.get("geo", {}), _GEO)
        _take(form, document.get("property", {}), {"property_token": "token"})
        if context.get("channel") == "web":
            del context["channel"]
        form._take_places(document)
        _drop_empty(context, "address", "geo")
        _drop_empty(document, "id", "property", "context")
        form.more = json.dumps(document, ensure_ascii=False, indent=1) if document else ""
        return form

    @property
    def query(self) -> str:
        """The fields of the form without the empty ones, as a query."""
        return urlencode(list(self._fields()), errors="replace")

    @property
    def has_places(self) -> bool:
        """Whether the form asks for anything."""
        return bool(self.mbox or self.page_load or self.view or self.more)

    def now_ms(self) -> int | None:
        """Return the time in epoch ms, None for now. Raises `RequestRejected`, 400."""
        if not self.time:
            return None
        try:
            time = datetime.fromisoformat(self.time)
            return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            message = f"time: must be a time such as 2026-11-27T18:00Z, not {self.time!r}"
            raise RequestRejected(400, message) from None

    def document(self, experiences: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        """Return the delivery request.

        Args:
            experiences: The ids of the experiences by activity, in their order.

        Raises:
            RequestRejected: 400, a field is wrong.
        """
        document = self._more()
        context = _part(document, "context")
        context.setdefault("channel", "web")
        _put(self, _part(document, "id"), _IDS)
        _put(self, context, {"user_agent": "userAgent"})
        _put(self, _part(context, "address"), _ADDRESS)
        _put(self, _part(context, "geo"), _GEO)
        _put(self, _part(document, "property"), {"property_token": "token"})
        self._put_places(document)
        if self.force:
            document["qaMode"] = self._qa_mode(experiences)
        _drop_empty(context, "address", "geo")
        _drop_empty(document, "id", "property")
        return document

    def _fields(self) -> Iterator[tuple[str, str]]:
        for name, value in msgspec.to_builtins(self).items():
            yield from ((name, one) for one in (value if isinstance(value, list) else [value]))

    def _more(self) -> dict[str, Any]:
        try:
            document = parse_json(self.more or "{}", "more")
        except ConstraintError as error:
            raise RequestRejected(400, str(error)) from None
        if not isinstance(document, dict):
            raise RequestRejected(400, "more: must be a JSON object")
        return document

    def _parameters(self) -> dict[str, str]:
        pairs = [text.partition("=") for text in self.param]
        for name, equals, _ in pairs:
            if not equals or not name.strip():
                raise RequestRejected(400, f"param: must be name=value, not {name!r}")
        return {name.strip(): value for name, _, value in pairs}

    def _put_places(self, document: dict[str, Any]) -> None:
        if self.mode not in _MODES:
            raise RequestRejected(400, f"mode: must be execute or prefetch, not {self.mode!r}")
        parameters = self._parameters()
        more = {"parameters": parameters} if parameters else {}
        if self.mbox or self.page_load:
            part = _part(document, self.mode)
            known = _list(part, "mboxes") if self.mbox else []
            known += [
                {"index": len(known) + place, "name": name, **more} for place, name in enumerate(self.mbox)
            ]
            if self.page_load:
                part["pageLoad"] = more
        if self.view:
            views = _list(_part(document, "prefetch"), "views")
            views += [{**({} if name == _EVERY_VIEW else {"name": name}), **more} for name in self.view]

    def _take_places(self, document: dict[str, Any]) -> None:
        """Take the places out of a request if the form can express all of them."""
        execute, prefetch = document.get("execute", {}), document.get("prefetch", {})
        views = prefetch.get("views", [])
        others = {name: value for name, value in prefetch.items() if name != "views"}
        if execute and others:
            return
        part, mode = (others, "prefetch") if others else (execute, "execute")
        mboxes, page_load = part.get("mboxes", []), part.get("pageLoad")
        places = [*mboxes, *views, *([page_load] if page_load is not None else [])]
        parameters = places[0].get("parameters", {}) if places else {}
        if (
            part.keys() - {"mboxes", "pageLoad"}
            or any(one.get("index", place) != place for place, one in enumerate(mboxes))
            or any(one.get("name") == _EVERY_VIEW for one in views)
            or not all(_is_plain_place(one, parameters) for one in places)
            or not all(_is_plain_parameter(*pair) for pair in parameters.items())
        ):
            return
        self.mode = mode
        self.mbox = [one["name"] for one in mboxes]
        self.page_load = "1" if page_load is not None else ""
        self.view = [one.get("name") or _EVERY_VIEW for one in views]
        self.param = [f"{name}={value}" for name, value in parameters.items()]
        for name in ("execute", "prefetch"):
            document.pop(name, None)

    def _qa_mode(self, experiences: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        activities: list[str] = []
        previews = []
        for text in self.force:
            activity, _, experience = text.partition(":")
            known = experiences.get(activity, ())
            if experience not in known or not activity.isdigit():
                raise RequestRejected(
                    400, f"force: there is no experience {text!r}; write activity:experience"
                )
            activities.append(activity)
            previews.append(
                {"activityIndex": len(activities), "experienceIndex": known.index(experience) + 1}
            )
        return {"token": ",".join(activities), "previewIndexes": previews}


def _part(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object under a name, which is created if there is none."""
    part = document.setdefault(name, {})
    if not isinstance(part, dict):
        raise RequestRejected(400, f"more.{name}: must be a JSON object")
    return part


def _list(document: dict[str, Any], name: str) -> list[Any]:
    part = document.setdefault(name, [])
    if not isinstance(part, list):
        raise RequestRejected(400, f"more.{name}: must be a JSON list")
    return part


def _take(form: AskForm, document: dict[str, Any], names: dict[str, str]) -> None:
    """Move texts of a request into the form, but those that have several lines."""
    for field, name in names.items():
        value = document.get(name)
        if isinstance(value, str) and _is_line(value):
            setattr(form, field, document.pop(name))


def _put(form: AskForm, document: dict[str, Any], names: dict[str, str]) -> None:
    document |= {name: value for field, name in names.items() if (value := getattr(form, field))}


def _is_line(text: Any) -> bool:
    """Return whether a text survives a field of one line."""
    return isinstance(text, str) and text == text.strip() and len(text.splitlines()) < 2


def _is_plain_place(place: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Return whether a place has no more than a name, an index and these parameters."""
    return (
        place.keys() <= {"name", "index", "parameters"}
        and place.get("parameters", {}) == parameters
        and _is_line(place.get("name", ""))
    )


def _is_plain_parameter(name: str, value: Any) -> bool:
    """Return whether a parameter can be written as `name=value` on one line."""
    return bool(name) and "=" not in name and _is_line(name) and _is_line(value)


def _drop_empty(document: dict[str, Any], *names: str) -> None:
    for name in names:
        if document.get(name) == {}:
            del document[name]
