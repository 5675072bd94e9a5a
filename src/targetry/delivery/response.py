"""What an answer to a Delivery API call means."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from targetry.delivery.headers import ResponseHeaders
from targetry.delivery.stepwise import LARGE_BYTES, decode_in_steps
from targetry.errors import ApiException
from targetry.http.protocol import HttpResponse
from targetry.models import DeliveryResponse, UnexpectedError


def parse_response(answer: HttpResponse, check: Callable[[], object]) -> DeliveryResponse:
    """Return the response in it, an empty one for a 204. Raises `ApiException` for what is none.

    While a large one is decoded, `check` is called now and then, and may raise to end that.
    """
    if answer.status == 204:
        return DeliveryResponse()
    if not 200 <= answer.status < 300:
        raise response_error(answer, answer.reason, body_text(answer))
    try:
        if len(answer.body) > LARGE_BYTES:
            return decode_in_steps(answer.body, DeliveryResponse, check)
        return DeliveryResponse.from_json(answer.body)
    except ValueError as error:
        reason = f"the answer is not a Delivery API response: {error}"
        raise response_error(answer, reason, body_text(answer)) from error


def response_error(answer: HttpResponse, reason: str, body: str) -> ApiException:
    """Return the exception for a response that is an error, or not a Delivery API response."""
    return ApiException(answer.status, reason, body=body, headers=ResponseHeaders(answer.headers))


def body_text(answer: HttpResponse) -> str:
    """The body for people to read."""
    return answer.body.decode("utf-8", "replace")


def rejection_message(answer: HttpResponse, response: DeliveryResponse) -> str | None:
    """Return the server's message where a response of HTTP status 2xx is a refusal all the same, else None."""
    if response.status is None or response.status < 400:
        return None
    message = None
    if len(answer.body) <= LARGE_BYTES:
        with contextlib.suppress(ValueError):
            message = UnexpectedError.from_json(answer.body).message
    return message or "no message"
