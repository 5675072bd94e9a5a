"""The texts that code written for the official package may match on (spec/client.md §4, spec/decisioning.md §2.6).

They are kept to the letter, trailing and double spaces included. `MESSAGES` has the official keys, those
that nothing uses any more among them, because programs look texts up by key.
"""

from __future__ import annotations

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    "PRIVATE_CONSTRUCTOR": "Please use TargetClient.create static method instead",
    "ORG_ID_REQUIRED": "Organization Id is required",
    "DECISIONING_METHOD_INVALID": (
        "Invalid Decisioning Method.  Must be set to one of: hybrid,on-device,server-side"
    ),
    "FETCH_API_REQUIRED": "Fetch API is required",
    "REQUEST_REQUIRED": "Request object of type DeliveryRequest is required",
    "EXECUTE_FIELDS_REQUIRED": "Either pageLoad or mboxes is required in execute",
    "PREFETCH_FIELDS_REQUIRED": "Either views, pageLoad or mboxes is required in prefetch",
    "NOTIFICATIONS_REQUIRED": "Notifications list is required in request",
    "MBOX_INVALID": "Mbox validation failed for: ",
    "NOTIFICATION_INVALID": "Notification validation failed for: ",
    "CLIENT_REQUIRED": "Client is required",
    "OPTIONS_REQUIRED": "Options are required",
    "REQUEST_SENT": "Request sent",
    "RESPONSE_RECEIVED": "Response received",
    "FETCH_UNDEFINED": "Fetch is not defined!",
    "DECISIONING_ENGINE_UNDEFINED": "Decisioning Engine is undefined",
    "LOCATION_HINT_REQUEST_FAILED": "Unable to retrieve location hint cookie.",
    "INVALID_CALLBACK": "Callback must be a callable function",
}

DECISIONING_ENGINE_NOT_READY: Final = "Unable to fulfill request; decisioning engine not ready."
ARTIFACT_NOT_AVAILABLE: Final = "The decisioning artifact is not available"


def attribute_not_exist(key_name: str | None, mbox_name: str) -> str:
    """Text of the error for an attribute that no offer holds."""
    return f"Attribute '{key_name}' does not exist for mbox '{mbox_name}'"


def property_token_mismatch(request_property: str | None, config_property: str | None) -> str:
    """Text of the debug line for a request whose property is not the client's."""
    return (
        f"The property token specified in the request '{request_property}' does not match "
        f"the one specified in the config '{config_property}'."
    )
