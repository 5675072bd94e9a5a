"""Activities as code: audiences, experiences and offers as files, compiled to an artifact.

Conditions of audiences can be written as Python too:

    from targetry.activities import geo, mbox

    audience = (geo.country == "US") & mbox.tier.in_(["gold", "platinum"])
"""

from __future__ import annotations

from targetry.activities.expressions.builder import (
    Audience,
    Operand,
    current_day,
    current_time,
    current_timestamp,
    expression,
    geo,
    mbox,
    page,
    referring,
    user,
)
from targetry.activities.expressions.errors import ExpressionError

__all__ = [
    "Audience",
    "ExpressionError",
    "Operand",
    "current_day",
    "current_time",
    "current_timestamp",
    "expression",
    "geo",
    "mbox",
    "page",
    "referring",
    "user",
]
