"""The official package's dicts with names: parts of an artifact, and of what rules are evaluated against.

They are plain dicts and keep every key; the official ones drop what they do not know, `meta` of a
rule for one (spec/divergences.md B-64).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class _Document(dict[str, Any]):
    def __init__(self, kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__(kwargs or {})


class DecisioningArtifact(_Document):
    """A whole artifact, as for the option `artifact_payload`."""


class DecisioningArtifactMeta(_Document):
    """`meta` of an artifact."""


class DecisioningArtifactRules(_Document):
    """`rules` of an artifact: `mboxes` and `views`."""


class Rule(_Document):
    """One rule."""


class RuleMeta(_Document):
    """`meta` of a rule."""


class _Context(dict[str, Any]):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(kwargs)


class UserContext(_Context):
    """Browser and platform."""


class PageContext(_Context):
    """A URL and its parts."""


class GeoContext(_Context):
    """A place."""


class TimingContext(_Context):
    """Day and time."""


class DecisioningContext(_Context):
    """All of them, as rules see them."""
