"""Named dicts of an artifact and its parts."""

from targetry.compat.documents import DecisioningArtifact as DecisioningArtifact
from targetry.compat.documents import DecisioningArtifactMeta as DecisioningArtifactMeta
from targetry.compat.documents import DecisioningArtifactRules as DecisioningArtifactRules
from targetry.compat.documents import Rule as Rule
from targetry.compat.documents import RuleMeta as RuleMeta
