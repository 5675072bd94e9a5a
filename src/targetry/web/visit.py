"""State of a visitor in one request: consent, ids, context, and the cookies to set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from targetry.delivery.cookies import (
    LOCATION_HINT_COOKIE,
    TARGET_COOKIE,
    target_cookie,
)
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.delivery.hosts import cluster_number, cluster_of_device_id
from targetry.device.logic.javascript import UNDEFINED
from targetry.errors import ApiException, NotReadyError, OptionError, TargetError
from targetry.flags.errors import FlagError
from targetry.models import ConstraintError, Context, CustomerId, Geo, VisitorId
from targetry.models.scalars import type_name
from targetry.models.snapshot import checked_parameters
from targetry.visitor import Visitor, cookie_name, parse_amcv, parse_customer_ids
from targetry.web.address import visitor_address
from targetry.web.client import HeldImpressions, Services, VisitClient
from targetry.web.consent import Consent, read_consent
from targetry.web.context import HIGH_ENTROPY_HINTS, request_context
from targetry.web.cookies import (
    cookie_pattern,
    delete_cookie,
    ids_of_cookies,
    read_cookies,
    registrable_domain,
    set_cookie,
    set_location_hint,
)
from targetry.web.options import WebSettings
from targetry.web.request import HeaderSink, WebRequest

FAILED_STATUS: Final = 500
"""Least HTTP status of a response whose impressions are dropped."""

_TOO_LATE: Final = (
    "cookies of a visitor were not set: the first decision was made after the response had started; "
    "call remember() before"
)


class Visits:
    """Maker of visits, for one client and one set of options."""

    __slots__ = (
        "amcv_names",
        "attributes",
        "client",
        "consent",
        "cookie_pattern",
        "services",
        "settings",
        "writes_always",
    )

    def __init__(self, client: VisitClient, settings: WebSettings) -> None:
        self.client = client
        self.settings = settings
        self.services: Services = client._visit_services
        self.consent = Consent.GRANTED if settings.consent is None else None  # None: is asked
        self.writes_always = settings.accept_ch or settings.cookies == "always"
        organization = self.services.organization_id
        self.amcv_names = frozenset({cookie_name(organization), cookie_name(organization, encoded=True)})
        http_only = "; HttpOnly" if settings.cookie_httponly else ""
        self.attributes = f"; Path={settings.cookie_path}; SameSite={settings.cookie_samesite}{http_only}"
        self.cookie_pattern = cookie_pattern({*self.amcv_names, TARGET_COOKIE, LOCATION_HINT_COOKIE})

    def passes_address(self, *, to_api: bool) -> bool:
        """Return whether the option `ip` passes addresses, to the API or to a decision here."""
        ip = self.settings.ip
        return (to_api or self.services.has_geo_database) if ip == "auto" else ip is not False


class VisitorIds(NamedTuple):
    """Ids of a visitor in one request; `cluster` is the edge cluster that serves the visitor."""

    session_id: str
    tnt_id: str | None = None
    ecid: str | None = None
    cluster: str | None = None


class Visit:
    """Visitor of one request, read from it when first needed, once, whichever thread asks first.

    Args:
        visits: Client and options.
        request: The request; None for a visitor that was carried from elsewhere.
    """

    __slots__ = (
        "_learned",
        "_parts",
        "consent",
        "held",
        "is_settled",
        "is_started",
        "is_used",
        "request",
        "visits",
        "wrote_cookies",
    )

    def __init__(self, visits: Visits, request: WebRequest | None) -> None:
        self.visits = visits
        self.request = request
        self.consent: Consent | None = Consent.GRANTED if request is None else visits.consent
        self.held: HeldImpressions | None = None
        self.is_used = False
        self.is_started = request is None  # the response
        self.is_settled = False
        self.wrote_cookies = False
        self._learned: VisitorIds | None = None
        self._parts: dict[str, Any] = {}  # `setdefault` is atomic: the first thread wins

    @classmethod
    def resumed(cls, visits: Visits, dumped: Mapping[str, str]) -> Visit:
        """Return a visit of the visitor that `dump` wrote in another place.

        Raises:
            OptionError: The mapping is none that `dump` has written.
        """
        visit = cls(visits, None)
        try:
            visit.consent = Consent(dumped["consent"])
            if visit.consent is not Consent.DENIED:
                visit._parts = {
                    "ids": VisitorIds(
                        dumped["sessionId"],
                        dumped.get("tntId"),
                        dumped.get("ecid"),
                        cluster_number(dumped.get("locationHint")),
                    ),
                    "context": Context.from_json(dumped["context"]),
                    "parameters": json.loads(dumped.get("parameters", "null")),
                    "customer_ids": [
                        CustomerId.from_json(one) for one in json.loads(dumped.get("customerIds", "[]"))
                    ]
                    or None,
                }
        except (KeyError, TypeError, ValueError) as error:
            raise OptionError("dump", f"must be what dump() of a target returned: {error!r}") from error
        return visit

    # Consent

    def evaluate_consent(self) -> Any:
        """Return the application's answer, or an awaitable of it. It is asked once."""
        try:
            return self._parts["answer"]
        except KeyError:
            consent, request = self.visits.settings.consent, self.request
            assert consent is not None
            assert request is not None
            return self._parts.setdefault("answer", consent(request.original))

    def settle_consent(self, answer: object) -> Consent:
        """Take the application's answer, or the exception that it raised, which denies."""
        if self.consent is None:
            try:
                consent = Consent.DENIED if isinstance(answer, BaseException) else read_consent(answer)
            except OptionError as error:
                consent, answer = Consent.DENIED, error
            if isinstance(answer, BaseException):
                self.note_fault("consent", "consent could not be asked, so it counts as denied", answer)
            self.consent = consent
        return self.consent

    @property
    def settled_consent(self) -> Consent:
        """The visitor's consent; asks for it if that does not wait.

        Raises:
            NotReadyError: It is asked asynchronously, and was not yet.
        """
        if self.consent is None:
            try:
                answer = self.evaluate_consent()
            except Exception as error:
                return self.settle_consent(error)
            if hasattr(answer, "__await__"):
                raise NotReadyError("consent is asked asynchronously: await ready() of the target first")
            return self.settle_consent(answer)
        return self.consent

    # Values of the request

    @property
    def ids(self) -> VisitorIds:
        """The visitor's ids, new ones where the request has none. Needs a settled consent."""
        known = self._learned or self._parts.get("ids")
        if known is None:
            known = self._parts.setdefault("ids", self._read_ids())
        ids: VisitorIds = known
        return ids

    def _read_ids(self) -> VisitorIds:
        services = self.visits.services
        session_id = tnt_id = ecid = hint = None
        if self.consent is Consent.GRANTED and (cookies := self.cookies):
            if TARGET_COOKIE in cookies:
                session_id, tnt_id = ids_of_cookies(cookies[TARGET_COOKIE], services.clock())
            if LOCATION_HINT_COOKIE in cookies:
                hint = cookies[LOCATION_HINT_COOKIE][0]
            if (amcv := self.amcv) is not None:
                ecid = parse_amcv(amcv).get("MCMID")
        if tnt_id is not None and tnt_id.startswith("."):  # all visitors with that cookie would share it
            tnt_id = None
        cluster = cluster_of_device_id(tnt_id) or cluster_number(hint) or services.edge_cluster()
        if tnt_id is None and ecid is None:
            tnt_id = f"{services.new_id()}.{cluster}_0" if cluster else services.new_id()
        return VisitorIds(session_id or services.new_id(), tnt_id, ecid, cluster)

    def learn(self, result: TargetDeliveryResponse) -> None:
        """Keep the tnt id and the cluster that a result names."""
        ids = self.ids
        tnt_id = result.response.id.tnt_id if result.response.id is not None else None
        hint = result.target_location_hint_cookie
        self._learned = ids._replace(
            tnt_id=tnt_id or ids.tnt_id, cluster=ids.cluster if hint is None else hint.value
        )

    @property
    def cookies(self) -> dict[str, list[str]]:
        """Values of the cookies that matter, by name."""
        found: dict[str, list[str]] | None = self._parts.get("cookies")
        if found is None:
            headers = self.request.headers.get("cookie", ()) if self.request is not None else ()
            found = self._parts.setdefault("cookies", read_cookies(headers, self.visits.cookie_pattern))
        return found

    @property
    def amcv(self) -> str | None:
        """Value of the AMCV cookie."""
        cookies = self.cookies
        for name in self.visits.amcv_names:
            if name in cookies:
                return cookies[name][0]
        return None

    @property
    def visitor(self) -> Visitor | None:
        """The Experience Cloud visitor; None without AMCV cookie and customer ids."""
        try:
            found: Visitor | None = self._parts["visitor"]
        except KeyError:
            amcv = self.amcv if self.consent is Consent.GRANTED else None
            customer_ids = self.customer_ids
            visitor = None
            if amcv is not None or customer_ids is not None:
                visitor = Visitor(self.visits.services.organization_id, amcv, customer_ids)
            found = self._parts.setdefault("visitor", visitor)
        return found

    @property
    def customer_ids(self) -> list[CustomerId] | None:
        """The application's ids of the visitor; None if there are none."""
        if self.consent is not Consent.GRANTED:
            return None
        ids: list[CustomerId] | None = self._from_option("customer_ids", parse_customer_ids)
        return ids

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The mbox parameters of all decisions."""
        parameters: dict[str, Any] | None = self._from_option("parameters", _checked_parameters)
        return parameters

    def _from_option(self, name: str, check: Any) -> Any:
        request = self.request
        if request is None:
            return self._parts.get(name)
        function = getattr(self.visits.settings, name)
        if function is None:
            return None
        known = self._parts.get(name, UNDEFINED)
        if known is not UNDEFINED:
            return known
        value = None
        try:
            value = function(request.original)
            if value is not None:
                value = check(value)
        except Exception as error:
            value = None
            self.note_fault(name, f"{name} of a request could not be used, so it has none", error)
        return self._parts.setdefault(name, value)

    def context(self, *, to_api: bool) -> Context:
        """Return the context, with the address as the option `ip` says. It must not be changed.

        Args:
            to_api: Whether it is for the Delivery API alone, and not for a decision here.
        """
        known = self._parts.get("context")
        if known is None:
            assert self.request is not None
            known = self._parts.setdefault("context", request_context(self.request))
        context: Context = known
        if self.consent is Consent.GRANTED and self.visits.passes_address(to_api=to_api):
            address = self._address()
            if address is not None:
                context = replace(context, geo=Geo(ip_address=address))
        return context

    def _address(self) -> str | None:
        known = self._parts.get("address", UNDEFINED)
        if known is UNDEFINED:
            known = self._parts.setdefault("address", self._read_address())
        address: str | None = known
        return address

    def _read_address(self) -> str | None:
        if self.request is None:
            return None
        settings = self.visits.settings
        if not callable(settings.ip):
            proxies = settings.trusted_proxies
            forwarded = self.request.headers.get(settings.proxy_header, ()) if proxies else ()
            return visitor_address(self.request.peer, forwarded, proxies)
        try:
            address = settings.ip(self.request.original)
            if address is not None and not isinstance(address, str):
                raise OptionError("ip", f"must return a str or None, not {type_name(address)}")
            return visitor_address(address, (), ())
        except Exception as error:
            self.note_fault("ip", "the address of a request could not be asked, so it has none", error)
            return None

    def visitor_input(self) -> dict[str, Any]:
        """Return the arguments of the client's `visitor`."""
        ids = self.ids
        return {
            "tnt_id": ids.tnt_id,
            "marketing_cloud_visitor_id": ids.ecid,
            "customer_ids": self.customer_ids,
            "context": self.context(to_api=False),
            "parameters": self.parameters,
            "session_id": ids.session_id,
        }

    @property
    def prepared(self) -> Any:
        """The visitor as the client prepares it; None if the client has to look it up first."""
        prepared = self._parts.get("prepared")
        if prepared is None and self.request is not None and self.customer_ids is None:
            ids = self.ids
            named = VisitorId(ids.tnt_id, marketing_cloud_visitor_id=ids.ecid)
            prepared = self.visits.services.make_visitor(
                named, ids.session_id, self.context(to_api=False), self.parameters
            )
            if prepared is not None:
                prepared = self._parts.setdefault("prepared", prepared)
        return prepared

    def keep_prepared(self, prepared: Any) -> Any:
        """Keep the prepared visitor, and return the one that was first."""
        return self._parts.setdefault("prepared", prepared)

    @property
    def flag_contents(self) -> dict[Any, Any]:
        """Contents of mboxes that were read as flags."""
        contents: dict[Any, Any] = self._parts.setdefault("flags", {})
        return contents

    # Outcome

    @property
    def held_now(self) -> HeldImpressions | None:
        """Holder of the impressions of the next calls; None where they are sent at once."""
        held = self.held
        if held is None and self._holds:
            held = self.held = self._parts.setdefault("held", self.visits.services.held_reports())
            if self.is_settled and self.consent is Consent.GRANTED:
                held.submit()  # the response started in another thread, which saw no holder
        return held

    @property
    def _holds(self) -> bool:
        if self.request is None:
            return self.consent is Consent.ANONYMOUS
        if self.consent is Consent.GRANTED:
            return self.visits.settings.impressions == "held" and not self.is_started
        return True

    def use(self) -> None:
        """Note that the visitor's ids are used, so that the response sets its cookies."""
        if not self.is_used:
            self.is_used = True
            if self.consent is Consent.ANONYMOUS and (held := self.held_now) is not None:
                held.discard()
            elif self.held is not None and not self._holds:  # this was not known before
                self.held.submit()
        if self.is_started and not self.wrote_cookies and self.request is not None and self._sets_cookies:
            self.note_fault("cookies", _TOO_LATE)

    @property
    def _sets_cookies(self) -> bool:
        return self.consent is Consent.GRANTED and self.visits.settings.cookies != "never"

    @property
    def needs_headers(self) -> bool:
        """Whether the response gets headers."""
        return self.is_used or self.visits.writes_always

    def write_headers(self, headers: HeaderSink) -> None:
        """Add the headers of a response that starts now. Needs a settled consent if used."""
        settings = self.visits.settings
        if settings.cookies == "always":
            self.use()
        self.is_started = True
        if settings.accept_ch:
            headers.add("Accept-CH", HIGH_ENTROPY_HINTS)
        if not self.is_used:
            return
        if settings.vary:
            headers.vary("Cookie")
        if self._sets_cookies:
            self.wrote_cookies = True
            ids, attributes = self.ids, self._cookie_attributes()
            cookie = target_cookie(ids.session_id, ids.tnt_id, self.visits.services.clock())
            headers.add("Set-Cookie", set_cookie(cookie, attributes))
            if ids.cluster is not None:
                headers.add("Set-Cookie", set_location_hint(ids.cluster, attributes))
        elif self.consent is Consent.DENIED and settings.cookies != "never":
            for name in (TARGET_COOKIE, LOCATION_HINT_COOKIE):
                if name in self.cookies:
                    headers.add("Set-Cookie", delete_cookie(name, self._cookie_attributes()))

    def settle(self, status: int) -> None:
        """Send the impressions that were held, or drop those of a page that failed.

        Args:
            status: HTTP status of the response; 500 if none was sent.
        """
        self.is_started = self.is_settled = True
        if self.held is None or self.consent is not Consent.GRANTED:
            return
        if status < FAILED_STATUS:
            self.held.submit()
        else:
            self.held.drop()

    def _cookie_attributes(self) -> str:
        settings, request = self.visits.settings, self.request
        assert request is not None
        domain = settings.cookie_domain
        if domain == "auto":
            domain = registrable_domain(request.host)
        is_secure = request.is_secure if settings.cookie_secure == "auto" else settings.cookie_secure
        secure = "; Secure" if is_secure else ""
        return (
            f"; Domain={domain}{self.visits.attributes}{secure}"
            if domain
            else self.visits.attributes + secure
        )

    def dump(self) -> dict[str, str]:
        """Return the visitor as texts, for a task or another process."""
        consent = self.settled_consent
        if consent is Consent.DENIED:
            return {"consent": consent.value}
        self.use()
        ids = self.ids
        dumped = {
            "consent": consent.value,
            "sessionId": ids.session_id,
            "tntId": ids.tnt_id,
            "ecid": ids.ecid,
            "locationHint": ids.cluster,
            "context": self.context(to_api=False).to_json(),
            "customerIds": None,
            "parameters": None,
        }
        if self.customer_ids:
            dumped["customerIds"] = json.dumps([one.to_json() for one in self.customer_ids])
        if self.parameters:
            dumped["parameters"] = json.dumps(self.parameters)
        return {name: value for name, value in dumped.items() if value is not None}

    def note_fault(self, kind: str, message: str, error: BaseException | None = None) -> None:
        """Count and log a fault that the page is served in spite of."""
        services = self.visits.services
        if error is None:
            services.note_fault(kind, message)
        else:
            services.note_fault(kind, f"{message}: %s", _cause(error))


def _checked_parameters(given: Any) -> dict[str, Any]:
    try:
        return checked_parameters(given, "parameters")
    except ConstraintError as error:
        raise OptionError(error.path, error.reason) from error


def _cause(error: BaseException) -> str:
    """Return what a log says of an error: nothing that a visitor sent."""
    if isinstance(error, ApiException):
        return f"{type(error).__name__} {error.reason or error.status}"
    if isinstance(error, TargetError | FlagError):
        return str(error)
    return type(error).__name__
