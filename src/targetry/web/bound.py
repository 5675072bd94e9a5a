"""`BoundTarget` and `AsyncBoundTarget`: a client for the visitor of one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from targetry.attributes import AttributesProvider
from targetry.delivery.envelope import TargetDeliveryResponse
from targetry.flags.flow import drive, drive_async
from targetry.web.consent import Consent
from targetry.web.flows import Flow, RequestInput, Step, VisitFlows
from targetry.web.request import HeaderSink
from targetry.web.visit import Visit

T = TypeVar("T")
D = TypeVar("D")


class BoundTarget(VisitFlows):
    """Client for the visitor of one request; may be shared between threads.

    All its calls have the same session id and visitor, whichever is made first.

    Args:
        visit: The visitor.
        wait: Waits for an awaitable and returns its result, where the client or the application's
            `consent` is asynchronous.
    """

    __slots__ = ("_wait",)

    def __init__(self, visit: Visit, wait: Callable[[Any], Any] | None = None) -> None:
        super().__init__(visit)
        self._wait = wait

    def offer(self, mbox: str, default: Any = None, **parameters: Any) -> Any:
        """Return the content of an mbox, `default` where it has none or could not be decided.

        Args:
            mbox: Its name.
            default: Returned for default content, without consent, and for any failure.
            **parameters: Mbox parameters.

        Raises:
            OptionError: The mbox has no name.
        """
        found: dict[str, Any] = {}
        rest = self._start((mbox,), parameters, found)
        if rest is not None:
            self._run(rest)
        return found.get(mbox, default)

    def offers(self, *mboxes: str, **parameters: Any) -> dict[str, Any]:
        """Return the contents of mboxes by name; those without content are absent.

        Those that the Delivery API decides are asked for in one call. Raises as `offer`.
        """
        found: dict[str, Any] = {}
        rest = self._start(mboxes, parameters, found)
        if rest is not None:
            self._run(rest)
        return found

    @overload
    def flag(self, key: str, default: None, **attributes: Any) -> Any: ...
    @overload
    def flag(self, key: str, default: D, **attributes: Any) -> D: ...
    def flag(self, key: str, default: object, **attributes: Any) -> Any:
        """Return the value of a flag: of an mbox, or of an attribute of its JSON offer.

        A flag counts one impression in a request, however often it is read.

        Args:
            key: `mbox`, or `mbox:attribute.attribute`.
            default: Returned where the flag has no value of this type, and for any failure. None
                takes any value.
            **attributes: Mbox parameters.

        Raises:
            OptionError: The default is of a type that no flag has, or the key is no text.
        """
        return self._run(self._flag(key, default, attributes))

    def track(self, name: str, value: float | None = None, **attributes: Any) -> bool:
        """Report an event in the background, and return whether it was accepted.

        Args:
            name: The mbox that counts as visited.
            value: The total of an order.
            **attributes: `orderId` and `purchasedProductIds` of the order; `flagKey` of the flag
                that was clicked; others are mbox parameters.

        Raises:
            OptionError: The mbox has no name.
        """
        return self._run(self._track(name, value, attributes))

    def get_offers(
        self, request: RequestInput = None, *, mboxes: Iterable[str] = (), **more: Any
    ) -> TargetDeliveryResponse:
        """Return the result of the client's `get_offers` for this visitor.

        Args:
            request: The request; missing ids, context and parameters are filled in.
            mboxes: Names of mboxes to execute besides.
            **more: Other options of the client's call.

        Raises:
            TargetError: As the client.
        """
        return self._run(self._get_offers(request, mboxes, more))

    def get_attributes(
        self, mbox_names: Iterable[str], request: RequestInput = None, **more: Any
    ) -> AttributesProvider:
        """Return the JSON offers of mboxes as attributes, as the client's `get_attributes`."""
        return self._run(self._get_attributes(mbox_names, request, more))

    def send_notifications(self, request: RequestInput, **more: Any) -> TargetDeliveryResponse:
        """Report displays and clicks of this visitor, as the client's `send_notifications`."""
        return self._run(self._send_notifications(request, more))

    def ready(self) -> Consent:
        """Ask for consent, and return it."""
        return self._run(self._ready())

    def respond(self, headers: HeaderSink) -> None:
        """Add the visitor's headers to a response that starts now. For integrations."""
        if self._visit.consent is None:
            self._run(self._resolve_consent())
        self._write_headers(headers)

    def _run(self, flow: Flow[T]) -> T:
        holder = self._visit.visits.services.holder
        token = holder.set(self._visit.held_now)
        try:
            return drive(flow, self._result)
        finally:
            holder.reset(token)

    def _result(self, step: Step) -> Any:
        result = step()
        if self._wait is not None and hasattr(result, "__await__"):
            return self._wait(result)
        return result


class AsyncBoundTarget(VisitFlows):
    """`BoundTarget` whose calls are awaited; its client can be asynchronous.

    Properties that need the visitor's consent raise `NotReadyError` where that is asked
    asynchronously and nothing was awaited yet.
    """

    __slots__ = ()

    async def offer(self, mbox: str, default: Any = None, **parameters: Any) -> Any:
        """Return the content of an mbox, as `BoundTarget.offer`."""
        found: dict[str, Any] = {}
        rest = self._start((mbox,), parameters, found)
        if rest is not None:
            await self._run(rest)
        return found.get(mbox, default)

    async def offers(self, *mboxes: str, **parameters: Any) -> dict[str, Any]:
        """Return the contents of mboxes by name, as `BoundTarget.offers`."""
        found: dict[str, Any] = {}
        rest = self._start(mboxes, parameters, found)
        if rest is not None:
            await self._run(rest)
        return found

    @overload
    async def flag(self, key: str, default: None, **attributes: Any) -> Any: ...
    @overload
    async def flag(self, key: str, default: D, **attributes: Any) -> D: ...
    async def flag(self, key: str, default: object, **attributes: Any) -> Any:
        """Return the value of a flag, as `BoundTarget.flag`."""
        return await self._run(self._flag(key, default, attributes))

    async def track(self, name: str, value: float | None = None, **attributes: Any) -> bool:
        """Report an event in the background, as `BoundTarget.track`."""
        return await self._run(self._track(name, value, attributes))

    async def get_offers(
        self, request: RequestInput = None, *, mboxes: Iterable[str] = (), **more: Any
    ) -> TargetDeliveryResponse:
        """Return the result of the client's `get_offers`, as `BoundTarget.get_offers`."""
        return await self._run(self._get_offers(request, mboxes, more))

    async def get_attributes(
        self, mbox_names: Iterable[str], request: RequestInput = None, **more: Any
    ) -> AttributesProvider:
        """Return the JSON offers of mboxes, as `BoundTarget.get_attributes`."""
        return await self._run(self._get_attributes(mbox_names, request, more))

    async def send_notifications(self, request: RequestInput, **more: Any) -> TargetDeliveryResponse:
        """Report displays and clicks, as `BoundTarget.send_notifications`."""
        return await self._run(self._send_notifications(request, more))

    async def ready(self) -> Consent:
        """Ask for consent, and return it."""
        return await self._run(self._ready())

    async def respond(self, headers: HeaderSink) -> None:
        """Add the visitor's headers to a response that starts now. For integrations."""
        if self._visit.consent is None:
            await self._run(self._resolve_consent())
        self._write_headers(headers)

    def blocking(self, wait: Callable[[Any], Any]) -> BoundTarget:
        """Return the synchronous target of the same visit, for code in a thread.

        Args:
            wait: Waits for an awaitable in the loop of the request, and returns its result.
        """
        return BoundTarget(self._visit, wait)

    async def _run(self, flow: Flow[T]) -> T:
        holder = self._visit.visits.services.holder
        token = holder.set(self._visit.held_now)
        try:
            return await drive_async(flow, _result)
        finally:
            holder.reset(token)


async def _result(step: Step) -> Any:
    result = step()
    return await result if hasattr(result, "__await__") else result
