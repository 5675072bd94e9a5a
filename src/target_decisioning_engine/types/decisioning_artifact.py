"""Dicts for an artifact and its parts."""

from targetry.official.documents import DecisioningArtifact as DecisioningArtifact
from targetry.official.documents import DecisioningArtifactMeta as DecisioningArtifactMeta
from targetry.official.documents import DecisioningArtifactRules as DecisioningArtifactRules
from targetry.official.documents import Rule as Rule
from targetry.official.documents import RuleMeta as RuleMeta
