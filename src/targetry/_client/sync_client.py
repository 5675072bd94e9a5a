"""`TargetClient`, the synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, overload

from targetry._client.base import BaseClient, is_overridden
from targetry._client.call_options import (
    CALL_SECTION,
    CallbackOptions,
    OfferOptions,
    attribute_settings,
    notification_settings,
    offer_settings,
    offers_call,
)
from targetry._client.callbacks import CallbackPool
from targetry._client.decisions.call_settings import CallSettings
from targetry._client.decisions.flag_evaluator import FlagDetails, Step, details_of, wanted_type
from targetry._client.decisions.hook_runner import HookRunner
from targetry._client.decisions.visitor_decisions import PreparedVisitor
from targetry._client.options import CLIENT_SECTION, ClientOptions, client_settings, documented
from targetry._client.pipeline import Attempt, PreparedCall, as_transport_error
from targetry._client.runtime import CLOSE_TIMEOUT_S, REFRESH_TIMEOUT_S
from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.validators import wait_s
from targetry.artifacts.refresh import RefreshResult
from targetry.attributes import AttributesProvider
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.device.logic.javascript import UNDEFINED
from targetry.errors import ApiException
from targetry.flags.flow import drive
from targetry.flags.value import name_of_class
from targetry.http.protocol import HttpResponse
from targetry.models import Context, Geo, QAMode
from targetry.visitor import CustomerIdsInput

if TYPE_CHECKING:
    from multiprocessing.pool import AsyncResult

    from targetry.web.bound import BoundTarget

T = TypeVar("T")
D = TypeVar("D")


class TargetClient(BaseClient):
    """Synchronous client of Adobe Target, which asks the Delivery API or decides on device.

    Create it with `create`, share it between threads, and close it when it is no longer needed
    (`with`, or `close()`). A client that was created before a fork works in the child.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """Refuse construction by callers: use `TargetClient.create`."""
        super().__init__(options)
        self._callbacks = CallbackPool(self._runtime.log)
        self._geo = self._runtime.geo()
        self._transport = self._runtime.transport_for("delivery")

    @classmethod
    @documented(CLIENT_SECTION)
    def create(cls, options: ClientOptions | None = None, **keywords: Unpack[ClientOptions]) -> Self:
        """Create a client (Adobe: "Initialize SDK", Python).

        An on-device or hybrid client waits here for its first artifact, at most
        `maximum_wait_ready` milliseconds, and is returned in any case. `client_ready` is emitted a
        moment after that.

        Args:
            options: The options as a dict.
            **keywords: The options as keywords.

        Raises:
            OptionError: An option is wrong or missing; `path` names it.
            ArtifactError: `artifact_payload`, or the file of `artifact_location`, cannot be used.
            TypeError: A keyword is not an option, or an option is given twice.
        """
        checked = client_settings(options, keywords)
        client = cls({"internal": checked})
        client._runtime.open()
        return client

    @overload
    def get_offers(
        self, options: OfferOptions | None = None, **keywords: Unpack[OfferOptions]
    ) -> TargetDeliveryResponse: ...
    @overload
    def get_offers(
        self,
        options: OfferOptions | None = None,
        **keywords: Unpack[CallbackOptions[TargetDeliveryResponse]],
    ) -> AsyncResult[TargetDeliveryResponse]: ...
    @overload
    def get_offers(
        self, options: CallbackOptions[TargetDeliveryResponse], **keywords: Unpack[OfferOptions]
    ) -> AsyncResult[TargetDeliveryResponse]: ...
    @documented(CALL_SECTION)
    def get_offers(
        self, options: Mapping[str, Any] | None = None, **keywords: Any
    ) -> TargetDeliveryResponse | AsyncResult[TargetDeliveryResponse]:
        """Get the offers of a visitor (Adobe: "Get Offers", Python).

        Args:
            options: The options as a dict.
            **keywords: The options as keywords.

        Returns:
            The result; with a `callback` an `AsyncResult` of it, which is returned at once. The
            client's `timeout` counts from this call, and one of both callbacks is called by its end
            at the latest.

        Raises:
            OptionError: An option is wrong; `path` names the field
                (`request.execute.mboxes[1].name`).
            NotReadyError: The call is to be decided on device, and there is no artifact yet.
            ApiException: The Delivery API failed; `TransportError` and `DeadlineError` if it did
                not respond within `timeout` milliseconds.
            NoThreadError: The system refuses a thread for a call with a callback.
            ClosedError: The client is closed.
            TypeError: A keyword is not an option, or an option is given twice.
        """
        self._check_open()
        offer = offer_settings(options, keywords, self._method)
        if offer.callback is None:
            return self._decide(offer)
        return self._submit(offer, self._decide)

    @overload
    def get_attributes(
        self,
        mbox_names: Iterable[str],
        options: OfferOptions | None = None,
        **keywords: Unpack[OfferOptions],
    ) -> AttributesProvider: ...
    @overload
    def get_attributes(
        self,
        mbox_names: Iterable[str],
        options: OfferOptions | None = None,
        **keywords: Unpack[CallbackOptions[AttributesProvider]],
    ) -> AsyncResult[AttributesProvider]: ...
    @overload
    def get_attributes(
        self,
        mbox_names: Iterable[str],
        options: CallbackOptions[AttributesProvider],
        **keywords: Unpack[OfferOptions],
    ) -> AsyncResult[AttributesProvider]: ...
    @documented(CALL_SECTION)
    def get_attributes(
        self, mbox_names: Iterable[str], options: Mapping[str, Any] | None = None, **keywords: Any
    ) -> AttributesProvider | AsyncResult[AttributesProvider]:
        """Get the JSON offers of mboxes as key-value pairs (Adobe: "Get Attributes", Python).

        Args:
            mbox_names: The mboxes; those that are not in the request are added to its `execute`.
            options: The options of `get_offers` as a dict, all of them optional.
            **keywords: The same options as keywords.

        Returns:
            The attributes; with a `callback` an `AsyncResult` of them. The `get_offers` of a
            subclass is used.

        Raises:
            TargetError: As `get_offers`.
            TypeError: As `get_offers`.
        """
        self._check_open()
        offer = attribute_settings(mbox_names, options, keywords, self._method)

        def ask(offer: CallSettings, submitted: float | None = None) -> AttributesProvider:
            if is_overridden(self.get_offers, _GET_OFFERS):
                return AttributesProvider(self.get_offers(offers_call(offer.request, options, keywords)))
            return AttributesProvider(self._decide(offer, submitted))

        return ask(offer) if offer.callback is None else self._submit(offer, ask)

    @overload
    def send_notifications(
        self, options: OfferOptions | None = None, **keywords: Unpack[OfferOptions]
    ) -> TargetDeliveryResponse: ...
    @overload
    def send_notifications(
        self,
        options: OfferOptions | None = None,
        **keywords: Unpack[CallbackOptions[TargetDeliveryResponse]],
    ) -> AsyncResult[TargetDeliveryResponse]: ...
    @overload
    def send_notifications(
        self, options: CallbackOptions[TargetDeliveryResponse], **keywords: Unpack[OfferOptions]
    ) -> AsyncResult[TargetDeliveryResponse]: ...
    @documented(CALL_SECTION)
    def send_notifications(
        self, options: Mapping[str, Any] | None = None, **keywords: Any
    ) -> TargetDeliveryResponse | AsyncResult[TargetDeliveryResponse]:
        """Report displays and clicks to the Delivery API (Adobe: "Send Notifications", Python).

        Args:
            options: The options of `get_offers` as a dict; `request.notifications` is required.
            **keywords: The same options as keywords.

        Returns:
            The result; with a `callback` an `AsyncResult` of it.

        Raises:
            TargetError: As `get_offers`.
            TypeError: As `get_offers`.
        """
        self._check_open()
        offer = notification_settings(options, keywords)
        if offer.callback is None:
            return self._decide(offer)
        return self._submit(offer, self._decide)

    def visitor(
        self,
        *,
        tnt_id: str | None = None,
        third_party_id: str | None = None,
        marketing_cloud_visitor_id: str | None = None,
        customer_ids: CustomerIdsInput | None = None,
        context: Context | Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        target_cookie: str | None = None,
        property_token: str | None = None,
        qa_mode: QAMode | Mapping[str, Any] | None = None,
    ) -> PreparedVisitor:
        """Prepare a visitor for `decide`: check it, and look up its location if rules use it.

        Args:
            tnt_id: Target's id; a new one is created if there is no id that activities split by.
            third_party_id: The id in the application's system.
            marketing_cloud_visitor_id: The Experience Cloud ID (ECID).
            customer_ids: As the option of `get_offers`.
            context: Channel, address, user agent, geo location; a `Context` or its wire JSON.
            parameters: Mbox parameters of all the visitor's mboxes, at most 50.
            session_id: At most 128 characters; by default a new one.
            target_cookie: The value of the visitor's cookie, for its session and `tnt_id`.
            property_token: The property, by default the client's.
            qa_mode: Preview of activities, as `request.qa_mode`; nothing is reported then.

        Returns:
            The visitor, to be kept for a request, a session or a process. If its location was not
            looked up here, rules of a later artifact that use geo locations are `remote` for it.

        Raises:
            OptionError: A keyword is wrong, with its path; or the client is server-side.
            ClosedError: The client is closed.
        """
        self._check_open()
        decisions = self._decisions
        settings = decisions.read_visitor(
            tnt_id,
            third_party_id,
            marketing_cloud_visitor_id,
            customer_ids,
            context,
            parameters,
            session_id,
            target_cookie,
            property_token,
            qa_mode,
        )
        if type(settings) is PreparedVisitor:
            return settings
        assert isinstance(settings, CallSettings)
        prepared = decisions.prepare_now(settings)
        geo = decisions.geo_to_resolve(prepared)
        if prepared is not None and geo is not None and self._geo is not None:
            prepared.set_geo(self._geo.resolve(geo, enabled=True))
        return decisions.visitor(settings, prepared, parameters, is_located=geo is not None)

    def visit(self, dumped: Mapping[str, str]) -> BoundTarget:
        """Return a visitor of a web request in another place, such as a task.

        Args:
            dumped: The result of `dump` of the request's target.

        Raises:
            OptionError: It is something else.
            ClosedError: The client is closed.
        """
        from targetry.web.bound import BoundTarget
        from targetry.web.options import WebSettings
        from targetry.web.visit import Visit, Visits

        self._check_open()
        return BoundTarget(Visit.resumed(Visits(self, WebSettings()), dumped))

    @overload
    def flag(
        self,
        key: str,
        default: None,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Any: ...

    @overload
    def flag(
        self,
        key: str,
        default: D,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> D: ...

    def flag(
        self,
        key: str,
        default: object,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of a flag: of an mbox's offer, or of an attribute of its JSON offer.

        On device nothing waits, except for the geo lookup of an IP address if rules use it. The
        first evaluation of a visitor, mbox and experience within a minute is an impression.

        Args:
            key: `mbox`, or `mbox:attribute.attribute`.
            default: Returned if the flag has no value of this type, and for any failure. None
                accepts any value.
            visitor: From this client's `visitor`; a context then adds mbox parameters.
            context: The visitor and its situation by the Delivery API's names: `targetingKey`,
                `tntId`, `url`, `userAgent`, `geo` …; other names are mbox parameters, `profile.`
                ones profile parameters.

        Raises:
            OptionError: An argument is of a type that no flag takes. Nothing else is raised.
        """
        wanted = name_of_class(type(default)) or wanted_type(default)
        evaluation = self._flags.evaluate_now(key, wanted, visitor, context)
        if evaluation is None:
            evaluation = drive(self._flags.evaluate(key, wanted, visitor, context), self._step)
        return default if evaluation.value is UNDEFINED else evaluation.value

    def flag_details(
        self,
        key: str,
        default: D,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> FlagDetails[D]:
        """Return the value as `flag` does, with variant, reason, error code and metadata."""
        wanted = name_of_class(type(default)) or wanted_type(default)
        evaluation = self._flags.evaluate_now(key, wanted, visitor, context)
        if evaluation is None:
            evaluation = drive(self._flags.evaluate(key, wanted, visitor, context), self._step)
        return details_of(evaluation, default)

    def all_flags(
        self, *, visitor: PreparedVisitor | None = None, context: Mapping[str, Any] | None = None
    ) -> dict[str, FlagDetails[Any]]:
        """Evaluate all flags that the rules decide, without impressions.

        Returns:
            Details by key: mbox names, and `mbox:member` for each member of a JSON offer. The value
            is None if the default would apply. The global mbox is left out.

        Raises:
            OptionError: An argument is of the wrong type, no request can carry the context, or the
                client is server-side, so that it knows no flags.
            NotReadyError: There are no rules yet.
            ClosedError: The client is closed.
        """
        evaluations = drive(self._flags.evaluate_all(visitor, context), self._step)
        return {one.key: details_of(one, None) for one in evaluations}

    def refresh_artifact(
        self, force: bool = False, timeout_s: float = REFRESH_TIMEOUT_S, *, timeout: float | None = None
    ) -> RefreshResult:
        """Request the artifact now instead of at the next poll, and wait for the outcome.

        An artifact that cannot be used, or a source that does not respond, is a result and not an
        exception.

        Args:
            force: Request it past caches, and use it even if it is older than the one in use.
            timeout_s: Seconds to wait; the request continues after that.
            timeout: Former name of `timeout_s`.

        Returns:
            The result: `outcome` is `updated`, `unchanged`, `failed` (with a `reason`), or
            `pending` when it is not known within `timeout_s`, or when a handler of an artifact's
            event calls this.

        Raises:
            OptionError: The client is server-side, so that it has no artifact, or a time is wrong.
            ClosedError: The client is closed.
        """
        longest_s = wait_s(timeout_s, timeout)
        try:
            return self._refresh(force).result(longest_s)
        except TimeoutError:
            return RefreshResult("pending")

    def flush(self, timeout_s: float = CLOSE_TIMEOUT_S, *, timeout: float | None = None) -> bool:
        """Wait until all impressions are sent, and return whether they are.

        Args:
            timeout_s: Maximum wait in seconds.
            timeout: Former name of `timeout_s`.

        Raises:
            OptionError: The time is no number.
        """
        return self._runtime.flush(wait_s(timeout_s, timeout))

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S, *, timeout: float | None = None) -> None:
        """Stop polling, send the remaining impressions, and close the connections.

        The client can be closed twice; calls of other kinds raise `ClosedError` afterwards.

        Args:
            timeout_s: Seconds for sending the remaining impressions.
            timeout: Former name of `timeout_s`.

        Raises:
            OptionError: The time is no number; the client stays open.
        """
        longest_s = wait_s(timeout_s, timeout)
        self._callbacks.close()
        self._runtime.close(longest_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, offer: CallSettings, call: Callable[[CallSettings, float], T]) -> AsyncResult[T]:
        assert offer.callback is not None
        submitted = time.perf_counter()
        deadline = submitted + self._runtime.options.timeout / 1000
        return self._callbacks.submit(
            lambda: call(offer, submitted), offer.callback, offer.err_callback, deadline
        )

    def _step(self, step: Step) -> Geo | TargetDeliveryResponse | None:
        if isinstance(step, CallSettings):
            return self._decide(step)
        return step if self._geo is None else self._geo.resolve(step, enabled=True)

    def _decide(self, offer: CallSettings, submitted: float | None = None) -> TargetDeliveryResponse:
        if self._hooks is not None and offer.observed is None and offer.kind != "flag":
            return self._observe(offer, self._hooks, submitted)
        pipeline = self._pipeline
        call = pipeline.prepare_call(offer, submitted)
        if not call.is_local:
            return self._call_delivery_api(call)
        address = call.geo_to_resolve
        if address is not None and self._geo is not None:
            left_s = pipeline.deadline(call) - time.perf_counter()
            call.prepared.set_geo(self._geo.resolve(address, enabled=True, within_s=left_s))
        return pipeline.decide(call)

    def _observe(
        self, offer: CallSettings, hooks: HookRunner, submitted: float | None
    ) -> TargetDeliveryResponse:
        method, request = offer.decisioning_method, offer.request
        with hooks.begin(offer.kind, method, None, request, offer.session_id) as observed:
            offer.observed = observed
            result = observed.result = self._decide(offer, submitted)
        return result

    def _call_delivery_api(self, call: PreparedCall) -> TargetDeliveryResponse:
        flow = self._pipeline.delivery_flow(call)
        attempt = next(flow)
        while True:
            outcome = self._send(attempt)
            try:
                attempt = flow.send(outcome)
            except StopIteration as end:
                result: TargetDeliveryResponse = end.value
                return result

    def _send(self, attempt: Attempt) -> HttpResponse | ApiException:
        if attempt.pause_s:
            time.sleep(attempt.pause_s)
        try:
            return self._transport.send(
                attempt.request, timeout=attempt.timeout_s, max_bytes=MAX_DOCUMENT_BYTES
            )
        except Exception as error:
            return as_transport_error(error, attempt.request.url)


_GET_OFFERS: Final = TargetClient.get_offers
