"""Named dicts of the official package: parts of an artifact, and of the facts of rules.

They are plain dicts and keep every key; the official ones drop unknown keys, such as `meta` of a
rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class _Document(dict[str, Any]):
    def __init__(self, kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__(kwargs or {})


class DecisioningArtifact(_Document):
    """Artifact, as for the option `artifact_payload`."""


class DecisioningArtifactMeta(_Document):
    """`meta` of an artifact."""


class DecisioningArtifactRules(_Document):
    """`rules` of an artifact: `mboxes` and `views`."""


class Rule(_Document):
    """Rule of an artifact."""


class RuleMeta(_Document):
    """`meta` of a rule."""


class _Context(dict[str, Any]):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(kwargs)


class UserContext(_Context):
    """Facts of browser and platform."""


class PageContext(_Context):
    """Facts of a URL and its parts."""


class GeoContext(_Context):
    """Facts of a geo location."""


class TimingContext(_Context):
    """Facts of day and time."""


class DecisioningContext(_Context):
    """All facts of a rule."""
