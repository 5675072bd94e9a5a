"""Activities as code: audiences, experiences and offers as files, compiled to an artifact.

Activities, and conditions of audiences, can be written as Python too:

    from targetry.activities import Workspace, experience, geo, mbox, offer, xt

    audience = (geo.country == "US") & mbox.tier.in_(["gold", "platinum"])
    sale = experience("sale", offer(mbox="hero", html="<b>Sale</b>"))
    artifact = Workspace("acme", xt("hero", sale, audience=audience)).compile()
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
from targetry.activities.workspace import (
    ActivitiesError,
    ActivityOptions,
    Workspace,
    ab,
    experience,
    metric,
    offer,
    xt,
)

__all__ = [
    "ActivitiesError",
    "ActivityOptions",
    "Audience",
    "ExpressionError",
    "Operand",
    "Workspace",
    "ab",
    "current_day",
    "current_time",
    "current_timestamp",
    "experience",
    "expression",
    "geo",
    "mbox",
    "metric",
    "offer",
    "page",
    "referring",
    "user",
    "xt",
]
