"""Parsing of Delivery API responses, and the exceptions for those that cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from targetry.delivery.headers import ResponseHeaders
from targetry.delivery.stepwise import LARGE_BYTES, decode_in_steps
from targetry.errors import ApiException
from targetry.http.protocol import HttpResponse
from targetry.models import DeliveryResponse, UnexpectedError


def parse_response(response: HttpResponse, check: Callable[[], object]) -> DeliveryResponse:
    """Parse the body of an HTTP response; a 204 is an empty `DeliveryResponse`.

    Args:
        response: The HTTP response.
        check: Called between the steps in which a large body is decoded; ends it by raising.

    Raises:
        ApiException: The status is not 2xx, or the body is not a Delivery API response.
    """
    if response.status == 204:
        return DeliveryResponse()
    if not 200 <= response.status < 300:
        raise response_error(response, response.reason, body_text(response))
    try:
        if len(response.body) > LARGE_BYTES:
            return decode_in_steps(response.body, DeliveryResponse, check)
        return DeliveryResponse.from_json(response.body)
    except ValueError as error:
        reason = f"the body is not a Delivery API response: {error}"
        raise response_error(response, reason, body_text(response)) from error


def response_error(response: HttpResponse, reason: str, body: str) -> ApiException:
    """Return the exception for a response that is an error, or not a Delivery API response."""
    return ApiException(response.status, reason, body=body, headers=ResponseHeaders(response.headers))


def body_text(response: HttpResponse) -> str:
    """Return the body as text, with replacement characters for bytes that are not UTF-8."""
    return response.body.decode("utf-8", "replace")


def rejection_message(response: HttpResponse, parsed: DeliveryResponse) -> str | None:
    """Return the server's message if a body that came with 2xx has an error status, else None."""
    if parsed.status is None or parsed.status < 400:
        return None
    message = None
    if len(response.body) <= LARGE_BYTES:
        with contextlib.suppress(ValueError):
            message = UnexpectedError.from_json(response.body).message
    return message or "no message"
