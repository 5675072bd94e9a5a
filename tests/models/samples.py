"""Small requests around one field."""

from targetry.models import Context, DeliveryRequest, ExecuteRequest, MboxRequest


def mbox(**fields):
    return DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="first"), MboxRequest(**fields)]))


def context(**fields):
    return DeliveryRequest(context=Context(**{"channel": "web", **fields}))
