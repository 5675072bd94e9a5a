"""Targetry: the open Python SDK for Adobe Target's server-side API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from targetry import models
from targetry._client.call_options import CallbackOptions, OfferOptions
from targetry._client.decisions.flag_evaluator import FlagDetails
from targetry._client.decisions.visitor_decisions import Decision, PreparedVisitor
from targetry._client.options import ClientOptions
from targetry._client.sync_client import TargetClient
from targetry.artifacts.refresh import RefreshResult
from targetry.attributes import AttributesProvider
from targetry.delivery.envelope import ResponseMeta, TargetDeliveryResponse
from targetry.delivery.offers import Activity, Experience, LocationOffers
from targetry.errors import (
    ApiException,
    ArtifactError,
    ArtifactVersionError,
    AttributeNotFoundError,
    ClosedError,
    DeadlineError,
    NoThreadError,
    NotReadyError,
    OpenApiException,
    OptionError,
    TargetError,
    TargetryWarning,
    TransportError,
)
from targetry.models import *  # noqa: F403
from targetry.version import __version__
from targetry.visitor import AuthState, Visitor, VisitorLike, visitor_state_json

if TYPE_CHECKING:
    from targetry._client.async_client import AsyncTargetClient

__all__ = [
    "Activity",
    "ApiException",
    "ArtifactError",
    "ArtifactVersionError",
    "AsyncTargetClient",
    "AttributeNotFoundError",
    "AttributesProvider",
    "AuthState",
    "CallbackOptions",
    "ClientOptions",
    "ClosedError",
    "DeadlineError",
    "Decision",
    "Experience",
    "FlagDetails",
    "LocationOffers",
    "NoThreadError",
    "NotReadyError",
    "OfferOptions",
    "OpenApiException",
    "OptionError",
    "PreparedVisitor",
    "RefreshResult",
    "ResponseMeta",
    "TargetClient",
    "TargetDeliveryResponse",
    "TargetError",
    "TargetryWarning",
    "TransportError",
    "Visitor",
    "VisitorLike",
    "__version__",
    "visitor_state_json",
]
__all__ += models.__all__


def __getattr__(name: str) -> object:
    """Import `AsyncTargetClient`, which needs asyncio, at its first use."""
    if name != "AsyncTargetClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from targetry._client.async_client import AsyncTargetClient

    return AsyncTargetClient
