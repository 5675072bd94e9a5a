"""Body of the bound targets: flows that yield the calls of the client that can wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Final, TypeVar

from targetry.attributes import AttributesProvider, checked_names
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.device.logic.javascript import UNDEFINED
from targetry.errors import OptionError
from targetry.flags.context import read_parameters
from targetry.flags.key import FlagKeys
from targetry.flags.value import as_type, type_of, value_at
from targetry.models import Context, DecisioningMethod, DeliveryRequest
from targetry.models.scalars import shown, type_name
from targetry.web.calls import call_options, empty_result, event_context, keeps_ids, own_request
from targetry.web.consent import Consent
from targetry.web.request import HeaderSink
from targetry.web.visit import Visit

T = TypeVar("T")

Step = Callable[[], Any]
"""Step of a flow: a call of the client, or of the application, whose result can be awaitable."""

Flow = Generator[Step, Any, T]
RequestInput = DeliveryRequest | Mapping[str, Any] | None

_KEYS: Final = FlagKeys()
_DEFAULT: Final = "a decision failed, so the page has its defaults"


class VisitFlows:
    """Base of the bound targets of one visit: what does not wait, and flows of what can."""

    __slots__ = ("__weakref__", "_visit")

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    @property
    def client(self) -> Any:
        """The client that decides."""
        return self._visit.visits.client

    @property
    def consent(self) -> Consent:
        """Level of the visitor's consent.

        Raises:
            NotReadyError: Consent is asked asynchronously, and was not yet; so the ids and `dump`.
        """
        return self._visit.settled_consent

    @property
    def session_id(self) -> str | None:
        """Session id of this request; None if consent is denied."""
        return self._visit.ids.session_id if self._may_identify() else None

    @property
    def tnt_id(self) -> str | None:
        """Target's id of the visitor; None with an ECID alone, or if consent is denied."""
        return self._visit.ids.tnt_id if self._may_identify() else None

    @property
    def ecid(self) -> str | None:
        """Experience Cloud ID, from the AMCV cookie."""
        return self._visit.ids.ecid if self._may_identify() else None

    @property
    def context(self) -> Context:
        """Context of the request: a copy, with the visitor's address if the API gets it."""
        self._may_identify()
        return deepcopy(self._visit.context(to_api=True))

    def remember(self) -> None:
        """Set the cookies even if nothing is decided before the response starts."""
        self._visit.use()

    def dump(self) -> dict[str, str]:
        """Return the visitor as texts, for `client.visit` in a task or another process."""
        return self._visit.dump()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # ids do not belong in logs

    def _may_identify(self) -> bool:
        """Return whether there are ids, and note that they are used."""
        if self._visit.settled_consent is Consent.DENIED:
            return False
        self._visit.use()
        return True

    # Flows

    def _ready(self) -> Flow[Consent]:
        visit = self._visit
        consent = visit.consent
        if consent is None:
            try:
                answer: object = yield visit.evaluate_consent
            except Exception as error:
                answer = error
            consent = visit.settle_consent(answer)
        visit.use()
        return consent

    def _write_headers(self, headers: HeaderSink) -> None:
        """Write the headers of the response; its impressions are settled by `Visit.settle`."""
        visit = self._visit
        try:
            visit.write_headers(headers)
        except Exception as error:  # the page is served, whatever it is
            visit.note_fault("response", "headers of a visitor were not written", error)

    def _resolve_consent(self) -> Flow[None]:
        """Evaluate the consent, if the headers of the response depend on it."""
        visit = self._visit
        if visit.is_used or visit.visits.settings.cookies == "always":
            yield from self._ready()

    def _start(
        self, names: tuple[str, ...], parameters: Mapping[str, Any], found: dict[str, Any]
    ) -> Flow[None] | None:
        """Add the contents of the mboxes that are decided without waiting.

        Returns a flow that adds the others; None if there are none.
        """
        for name in names:
            if not isinstance(name, str) or not name:
                raise OptionError("mbox", f"must be the name of an mbox, not {shown(name)}")
        visit = self._visit
        services = visit.visits.services
        if visit.consent is None or services.method is DecisioningMethod.SERVER_SIDE:
            return self._contents(names, parameters, found)
        visit.use()
        if visit.consent is Consent.DENIED:
            return None
        try:
            visitor = visit.prepared
            if visitor is None:
                return self._contents(names, parameters, found)
            remote = self._decide_here(names, visitor, parameters, found)
        except Exception as error:  # the page is served, whatever it is
            visit.note_fault("decision", _DEFAULT, error)
            return None
        if remote and services.method is not DecisioningMethod.ON_DEVICE:
            return self._tolerant(self._decide_remotely(remote, parameters, found))
        return None

    def _contents(
        self, names: tuple[str, ...], parameters: Mapping[str, Any], found: dict[str, Any]
    ) -> Flow[None]:
        """Add the contents of mboxes, after consent is settled and the visitor is looked up."""
        if (yield from self._ready()) is not Consent.DENIED:
            yield from self._tolerant(self._decide(names, parameters, found))

    def _tolerant(self, flow: Flow[None]) -> Flow[None]:
        """Run a flow; log and count its fault, and leave absent the contents not yet added."""
        try:
            yield from flow
        except Exception as error:  # the page is served, whatever it is
            self._visit.note_fault("decision", _DEFAULT, error)

    def _decide(
        self, names: tuple[str, ...], parameters: Mapping[str, Any], found: dict[str, Any]
    ) -> Flow[None]:
        """Decide mboxes here where the rules can, else by the API, and add their contents."""
        visit = self._visit
        services, client = visit.visits.services, visit.visits.client
        remote: Sequence[str] = names
        if services.method is not DecisioningMethod.SERVER_SIDE:
            visitor = visit.prepared
            if visitor is None:
                visitor = visit.keep_prepared((yield partial(client.visitor, **visit.visitor_input())))
            remote = self._decide_here(names, visitor, parameters, found)
        if remote and services.method is not DecisioningMethod.ON_DEVICE:
            yield from self._decide_remotely(remote, parameters, found)

    def _decide_here(
        self, names: tuple[str, ...], visitor: Any, parameters: Mapping[str, Any], found: dict[str, Any]
    ) -> list[str]:
        """Add the contents that the rules decide; return the mboxes that only the API decides."""
        remote = []
        decide, holder = self._visit.visits.client.decide, self._visit.visits.services.holder
        token = holder.set(self._visit.held_now)
        try:
            for name in names:
                decision = decide(name, visitor, parameters=parameters or None)
                if (content := decision.content) is not None:
                    found[name] = content
                elif decision.reason == "remote":
                    remote.append(name)
        finally:
            holder.reset(token)
        return remote

    def _decide_remotely(
        self, names: Sequence[str], parameters: Mapping[str, Any], found: dict[str, Any]
    ) -> Flow[None]:
        """Add the contents that the API decides, in one call."""
        visit = self._visit
        request = own_request(None, names)
        assert request.execute is not None
        for mbox in request.execute.mboxes or ():
            mbox.parameters = {**parameters} or None
        options = call_options(visit, request, {})
        request.context = visit.context(to_api=True)
        result: TargetDeliveryResponse = yield partial(visit.visits.client.get_offers, **options)
        visit.learn(result)
        for name in names:
            if (content := result.content(name)) is not None:
                found[name] = content

    def _flag(self, key: str, default: object, attributes: Mapping[str, Any]) -> Flow[Any]:
        wanted = type_of(default)
        if wanted is None and default is not None:
            kinds = "a bool, int, float, str, list, dict or None"
            raise OptionError("default", f"must be {kinds}, not {type_name(default)}")
        if not isinstance(key, str):
            raise OptionError("key", f"must be a str, not {type_name(key)}")
        if (yield from self._ready()) is Consent.DENIED:
            return default
        visit = self._visit
        try:
            parsed = _KEYS.parse(key)
            parameters = read_parameters(attributes) if attributes else {}
            entry = (parsed.mbox, *sorted(parameters.items()))
            content = visit.flag_contents.get(entry, UNDEFINED)
            if content is UNDEFINED:
                found: dict[str, Any] = {}
                yield from self._decide((parsed.mbox,), parameters, found)
                content = visit.flag_contents.setdefault(entry, found.get(parsed.mbox))
            if content is None:
                return default
            value = value_at(content, parsed)
            return deepcopy(value if wanted is None else as_type(value, wanted))
        except Exception as error:
            visit.note_fault("decision", _DEFAULT, error)
            return default

    def _track(self, name: str, value: float | None, attributes: Mapping[str, Any]) -> Flow[bool]:
        if not isinstance(name, str) or not name:
            raise OptionError("name", f"must be the name of an mbox, not {shown(name)}")
        if (yield from self._ready()) is not Consent.GRANTED:
            return False
        visit = self._visit
        try:
            return visit.visits.services.track(name, event_context(visit), value, attributes)
        except Exception as error:
            visit.note_fault("track", "an event was not tracked", error)
            return False

    def _get_offers(
        self, request: RequestInput, mboxes: Iterable[str], more: Mapping[str, Any]
    ) -> Flow[TargetDeliveryResponse]:
        own = own_request(request, checked_names(mboxes))
        return (yield from self._call(self._visit.visits.client.get_offers, own, more))

    def _get_attributes(
        self, mbox_names: Iterable[str], request: RequestInput, more: Mapping[str, Any]
    ) -> Flow[AttributesProvider]:
        return AttributesProvider((yield from self._get_offers(request, mbox_names, more)))

    def _send_notifications(
        self, request: RequestInput, more: Mapping[str, Any]
    ) -> Flow[TargetDeliveryResponse]:
        own = own_request(request, ())
        if (yield from self._ready()) is not Consent.GRANTED:
            return empty_result(self._visit, own)
        return (yield from self._call(self._visit.visits.client.send_notifications, own, more))

    def _call(
        self, call: Callable[..., Any], request: DeliveryRequest, more: Mapping[str, Any]
    ) -> Flow[TargetDeliveryResponse]:
        visit = self._visit
        for name in ("callback", "err_callback"):
            if more.get(name) is not None:
                raise OptionError(name, "is for calls of the client: those of a visitor return the result")
        if (yield from self._ready()) is Consent.DENIED:
            return empty_result(visit, request)
        result: TargetDeliveryResponse = yield partial(call, **call_options(visit, request, more))
        if keeps_ids(more):
            visit.learn(result)
        return result
