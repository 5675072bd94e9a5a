"""`AsyncTargetClient`, the asyncio client."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, Unpack, overload

from targetry._client.base import BaseClient, is_overridden
from targetry._client.call_options import (
    ASYNC_CALL_SECTION,
    OfferOptions,
    attribute_settings,
    notification_settings,
    offer_settings,
    offers_call,
)
from targetry._client.decisions.call_settings import CallSettings
from targetry._client.decisions.flag_evaluator import FlagDetails, Step, details_of, wanted_type
from targetry._client.decisions.hook_runner import HookRunner
from targetry._client.decisions.visitor_decisions import PreparedVisitor
from targetry._client.options import (
    CLIENT_SECTION,
    ClientOptions,
    ClientSettings,
    client_settings,
    documented,
)
from targetry._client.pipeline import (
    Attempt,
    AttemptOutcome,
    PreparedCall,
    as_transport_error,
)
from targetry._client.runtime import CLOSE_TIMEOUT_S, REFRESH_TIMEOUT_S, transport_options
from targetry._runtime.daemon_threads import DaemonThreadPool, QueueFullError, start_daemon_thread
from targetry._runtime.defaults import MAX_DOCUMENT_BYTES
from targetry._runtime.validators import wait_s
from targetry.artifacts.refresh import RefreshResult
from targetry.attributes import AttributesProvider
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.delivery.stepwise import LARGE_BYTES
from targetry.errors import MissingExtraError, NoThreadError, OptionError, TransportError
from targetry.flags.flow import drive_async
from targetry.flags.value import name_of_class
from targetry.http.async_transport import AsyncHttpTransport, ThreadedTransport, run_in_pool
from targetry.http.protocol import AsyncTransport, HttpResponse
from targetry.models import Context, DecisioningMethod, DeliveryRequest, Geo, QAMode
from targetry.models.field_names import name_tree
from targetry.visitor import CustomerIdsInput

if TYPE_CHECKING:
    from targetry.web.bound import AsyncBoundTarget

Client = TypeVar("Client", bound="AsyncTargetClient")
T = TypeVar("T")
D = TypeVar("D")


class AsyncTargetClient(BaseClient):
    """Asynchronous client of Adobe Target: the options, results and errors of `TargetClient`.

    It can be used from several event loops. On-device decisions wait only for the geo lookup of an
    IP address, if the artifact uses geo locations. There are no callbacks, as calls are awaited.
    """

    def __init__(self, options: Mapping[str, Any] | None = None) -> None:
        """Refuse construction by callers: use `await AsyncTargetClient.create`."""
        super().__init__(options)
        checked = self._runtime.options
        self._decoders = DaemonThreadPool("targetry-decoder", limit=2, queue_limit=1000)
        self._own_transport = checked.async_transport is None
        self._transport = checked.async_transport or self._default_transport(checked)
        self._geo = self._runtime.async_geo(self._transport)
        self._sender = self._runtime.async_transport_for("delivery", self._transport)

    @classmethod
    @documented(CLIENT_SECTION)
    async def create(cls, options: ClientOptions | None = None, **keywords: Unpack[ClientOptions]) -> Self:
        """Create a client, as `TargetClient.create`; a thread waits for the first artifact.

        Args:
            options: The options as a dict.
            **keywords: The options as keywords.

        Raises:
            OptionError: An option is wrong or missing; `path` names it.
            ArtifactError: `artifact_payload`, or the file of `artifact_location`, cannot be used.
            MissingExtraError: The client is not on-device, and aiohttp is not installed.
            TypeError: A keyword is not an option, or an option is given twice.
        """
        checked = client_settings(options, keywords)
        is_on_device = checked.decisioning_method is DecisioningMethod.ON_DEVICE
        if not is_on_device and checked.async_transport is None and not _has_aiohttp():
            raise MissingExtraError("aiohttp", "async")
        start = _Start(cls, checked)
        try:
            return await _run_in_own_thread(start.run)
        except asyncio.CancelledError:
            start.abandon()
            raise

    @documented(ASYNC_CALL_SECTION)
    async def get_offers(
        self, options: OfferOptions | None = None, **keywords: Unpack[OfferOptions]
    ) -> TargetDeliveryResponse:
        """Get the offers of a visitor, as `TargetClient.get_offers`, without callbacks."""
        self._check_open()
        return await self._decide(_without_callbacks(offer_settings(options, keywords, self._method)))

    @documented(ASYNC_CALL_SECTION)
    async def get_attributes(
        self,
        mbox_names: Iterable[str],
        options: OfferOptions | None = None,
        **keywords: Unpack[OfferOptions],
    ) -> AttributesProvider:
        """Get the JSON offers of mboxes, as `TargetClient.get_attributes`, without callbacks."""
        self._check_open()
        offer = _without_callbacks(attribute_settings(mbox_names, options, keywords, self._method))
        if is_overridden(self.get_offers, _GET_OFFERS):
            return AttributesProvider(await self.get_offers(offers_call(offer.request, options, keywords)))
        return AttributesProvider(await self._decide(offer))

    @documented(ASYNC_CALL_SECTION)
    async def send_notifications(
        self, options: OfferOptions | None = None, **keywords: Unpack[OfferOptions]
    ) -> TargetDeliveryResponse:
        """Report displays and clicks, as `TargetClient.send_notifications`, without callbacks."""
        self._check_open()
        return await self._decide(_without_callbacks(notification_settings(options, keywords)))

    async def visitor(
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
        """Prepare a visitor for `decide`, as `TargetClient.visitor`."""
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
            prepared.set_geo(await self._geo.resolve(geo, enabled=True))
        return decisions.visitor(settings, prepared, parameters, is_located=geo is not None)

    def visit(self, dumped: Mapping[str, str]) -> AsyncBoundTarget:
        """Return a visitor of a web request in another place, as `TargetClient.visit`."""
        from targetry.web.bound import AsyncBoundTarget
        from targetry.web.options import WebSettings
        from targetry.web.visit import Visit, Visits

        self._check_open()
        return AsyncBoundTarget(Visit.resumed(Visits(self, WebSettings()), dumped))

    @overload
    async def flag(
        self,
        key: str,
        default: None,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Any: ...

    @overload
    async def flag(
        self,
        key: str,
        default: D,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> D: ...

    async def flag(
        self,
        key: str,
        default: object,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of a flag, as `TargetClient.flag`."""
        return (await self.flag_details(key, default, visitor=visitor, context=context)).value

    async def flag_details(
        self,
        key: str,
        default: D,
        *,
        visitor: PreparedVisitor | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> FlagDetails[D]:
        """Return the value of a flag with its details, as `TargetClient.flag_details`."""
        wanted = name_of_class(type(default)) or wanted_type(default)
        evaluation = self._flags.evaluate_now(key, wanted, visitor, context)
        if evaluation is None:
            evaluation = await drive_async(self._flags.evaluate(key, wanted, visitor, context), self._step)
        return details_of(evaluation, default)

    async def all_flags(
        self, *, visitor: PreparedVisitor | None = None, context: Mapping[str, Any] | None = None
    ) -> dict[str, FlagDetails[Any]]:
        """Return all flags, as `TargetClient.all_flags`."""
        evaluations = await drive_async(self._flags.evaluate_all(visitor, context), self._step)
        return {one.key: details_of(one, None) for one in evaluations}

    async def refresh_artifact(
        self, force: bool = False, timeout_s: float = REFRESH_TIMEOUT_S, *, timeout: float | None = None
    ) -> RefreshResult:
        """Request the artifact now, as `TargetClient.refresh_artifact`."""
        longest_s = wait_s(timeout_s, timeout)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._refresh(force)), longest_s)
        except TimeoutError:
            return RefreshResult("pending")

    async def flush(self, timeout_s: float = CLOSE_TIMEOUT_S, *, timeout: float | None = None) -> bool:
        """Wait until all impressions are sent, as `TargetClient.flush`."""
        longest_s = wait_s(timeout_s, timeout)
        try:
            return await _run_in_own_thread(partial(self._runtime.flush, longest_s))
        except NoThreadError:
            return False

    async def aclose(self, timeout_s: float = CLOSE_TIMEOUT_S, *, timeout: float | None = None) -> None:
        """Close the client, as `TargetClient.close`."""
        longest_s = wait_s(timeout_s, timeout)
        try:
            await _run_in_own_thread(partial(self._runtime.close, longest_s))
        except NoThreadError:
            self._runtime.close(0)  # a wait here would block the loop
        finally:  # also when this task is cancelled
            if self._own_transport:
                await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _default_transport(self, options: ClientSettings) -> AsyncTransport:
        """Return the client's own transport: on aiohttp, or else the blocking one in threads."""
        if _has_aiohttp():
            return AsyncHttpTransport(
                **transport_options(options, self._runtime.log), decoders=self._decoders
            )
        return ThreadedTransport(self._runtime.transport, max_threads=options.max_connections)

    def _close_idle(self) -> int:
        own = (
            self._transport.close_idle()
            if isinstance(self._transport, AsyncHttpTransport) and self._own_transport
            else 0
        )
        return super()._close_idle() + own

    async def _step(self, step: Step) -> Geo | TargetDeliveryResponse | None:
        if isinstance(step, CallSettings):
            return await self._decide(step)
        return step if self._geo is None else await self._geo.resolve(step, enabled=True)

    async def _decide(self, offer: CallSettings) -> TargetDeliveryResponse:
        if self._hooks is not None and offer.observed is None and offer.kind != "flag":
            return await self._observe(offer, self._hooks)
        pipeline = self._pipeline
        call = pipeline.prepare_call(offer)
        if not call.is_local:
            return await self._call_delivery_api(call)
        address = call.geo_to_resolve
        if address is not None and self._geo is not None:
            call.prepared.set_geo(await self._geo.resolve(address, enabled=True))
        return pipeline.decide(call)

    async def _observe(self, offer: CallSettings, hooks: HookRunner) -> TargetDeliveryResponse:
        method, request = offer.decisioning_method, offer.request
        with hooks.begin(offer.kind, method, None, request, offer.session_id) as observed:
            offer.observed = observed
            result = observed.result = await self._decide(offer)
        return result

    async def _call_delivery_api(self, call: PreparedCall) -> TargetDeliveryResponse:
        flow = self._pipeline.delivery_flow(call)
        attempt = next(flow)
        while True:
            outcome = await self._send(attempt)
            try:
                attempt = flow.send(outcome)
            except StopIteration as end:
                result: TargetDeliveryResponse = end.value
                return result

    async def _send(self, attempt: Attempt) -> AttemptOutcome:
        if attempt.pause_s:
            await asyncio.sleep(attempt.pause_s)
        try:
            response = await self._sender.send(
                attempt.request, timeout=attempt.timeout_s, max_bytes=MAX_DOCUMENT_BYTES
            )
        except Exception as error:
            return as_transport_error(error, attempt.request.url)
        if isinstance(response, HttpResponse) and len(response.body) > LARGE_BYTES:
            return await self._read_in_thread(response, attempt.deadline)
        return response

    async def _read_in_thread(self, response: HttpResponse, deadline: float) -> AttemptOutcome:
        """Decode a large response in a thread; a result after the deadline is dropped."""
        try:
            async with asyncio.timeout(deadline - time.perf_counter()):
                return await run_in_pool(self._decoders, lambda: self._pipeline.read(response, deadline))
        except (RuntimeError, QueueFullError) as error:
            failed = TransportError(
                reason=f"the response cannot be decoded: {error or 'too many others are'}"
            )
            failed.__cause__ = error
            return failed
        except TimeoutError:
            return self._pipeline.late_error()


class _Start(Generic[Client]):
    """Creation of a client in another thread, which can be abandoned but not cancelled."""

    def __init__(self, kind: type[Client], options: ClientSettings) -> None:
        self._kind = kind
        self._options = options
        self._client: Client | None = None
        self._given_up = False

    def run(self) -> Client:
        client = self._client = self._kind({"internal": self._options})
        if self._given_up:
            client._runtime.close(0)
        else:
            name_tree(DeliveryRequest)  # the first request given as a dict would hold the event loop
            transport = client._transport
            client._runtime.open(transport if isinstance(transport, AsyncHttpTransport) else None)
        return client

    def abandon(self) -> None:
        """Close the client: here if it exists already, else by the thread."""
        self._given_up = True
        if self._client is not None:
            self._client._runtime.close(0)


def _has_aiohttp() -> bool:
    return find_spec("aiohttp") is not None


def _run_in_own_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Run `function` in a daemon thread outside the loop's pool, which the application can fill.

    Raises:
        NoThreadError: The system refuses a thread.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        if outcome.set_running_or_notify_cancel():
            try:
                outcome.set_result(function())
            except BaseException as error:
                outcome.set_exception(error)

    context = contextvars.copy_context()
    if start_daemon_thread("targetry-wait", context.run, run) is None:
        raise NoThreadError("the system refuses a thread to wait in; try again later")
    return asyncio.wrap_future(outcome)


def _without_callbacks(offer: CallSettings) -> CallSettings:
    for name in ("callback", "err_callback"):
        if getattr(offer, name) is not None:
            raise OptionError(name, "is for TargetClient: await the call instead")
    return offer


_GET_OFFERS: Final = AsyncTargetClient.get_offers
