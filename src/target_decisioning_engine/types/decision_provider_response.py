"""The official place of `DecisionProviderResponse`."""

from targetry.standalone import DecisionProviderResponse as DecisionProviderResponse
