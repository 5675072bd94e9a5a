"""What an answer to a Delivery API call means."""

from __future__ import annotations

from targetry.delivery.transport import HttpResponse
from targetry.errors import ApiException
from targetry.models import DeliveryResponse


def response_of(answer: HttpResponse) -> DeliveryResponse:
    """The response in it; an empty one for a 204. Raises `ApiException` for what is none."""
    if answer.status == 204:
        return DeliveryResponse()
    if not 200 <= answer.status < 300:
        raise ApiException(answer.status, answer.reason, body=text_of(answer), headers=answer.headers)
    try:
        return DeliveryResponse.from_json(answer.body)
    except ValueError as error:
        reason = f"the answer is not a Delivery API response: {error}"
        raise ApiException(answer.status, reason, body=text_of(answer), headers=answer.headers) from error


def text_of(answer: HttpResponse) -> str:
    """The body for people to read."""
    return answer.body.decode("utf-8", "replace")
