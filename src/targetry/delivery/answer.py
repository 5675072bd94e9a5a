"""What an answer to a Delivery API call means."""

from __future__ import annotations

from targetry.delivery.headers import ResponseHeaders
from targetry.delivery.transport import HttpResponse
from targetry.errors import ApiException
from targetry.models import DeliveryResponse


def response_of(answer: HttpResponse) -> DeliveryResponse:
    """The response in it; an empty one for a 204. Raises `ApiException` for what is none."""
    if answer.status == 204:
        return DeliveryResponse()
    if not 200 <= answer.status < 300:
        raise exception_of(answer, answer.reason, text_of(answer))
    try:
        return DeliveryResponse.from_json(answer.body)
    except ValueError as error:
        reason = f"the answer is not a Delivery API response: {error}"
        raise exception_of(answer, reason, text_of(answer)) from error


def exception_of(answer: HttpResponse, reason: str, body: str) -> ApiException:
    """Return the exception for a response that is an error, or not a Delivery API response."""
    return ApiException(answer.status, reason, body=body, headers=ResponseHeaders(answer.headers))


def text_of(answer: HttpResponse) -> str:
    """The body for people to read."""
    return answer.body.decode("utf-8", "replace")
