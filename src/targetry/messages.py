"""Texts of the official package that applications match on.

They are exact, with trailing and double spaces. `MESSAGES` has all keys of the official package,
since applications look texts up by key; some of them are not used here.
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
    """Return the error text for an attribute that no offer contains."""
    return f"Attribute '{key_name}' does not exist for mbox '{mbox_name}'"


def property_token_mismatch(request_property: str | None, config_property: str | None) -> str:
    """Return the debug text for a request whose property is not the one of the client."""
    return (
        f"The property token specified in the request '{request_property}' does not match "
        f"the one specified in the config '{config_property}'."
    )
