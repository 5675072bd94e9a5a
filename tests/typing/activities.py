"""Activities and conditions of audiences, as type checkers see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, assert_type

from targetry.activities import (
    Audience,
    Operand,
    Workspace,
    ab,
    current_timestamp,
    experience,
    expression,
    geo,
    mbox,
    metric,
    offer,
    page,
    user,
    xt,
)

assert_type(geo.country, Operand)
assert_type(mbox["odd-name"], Operand)
assert_type(mbox.tier, Operand)
assert_type(geo.country == "US", Audience)
assert_type(current_timestamp < datetime(2026, 1, 1, tzinfo=UTC), Audience)
assert_type(user.browserVersion.between(100, 120.5), Audience)
assert_type(mbox.tier.in_(["gold", 1, None]), Audience)
assert_type((geo.country == "US") & ~page.url_lc.contains("/checkout"), Audience)
assert_type(expression("mbox.x") | True, Audience)

str(geo.contry)  # type: ignore[attr-defined]
mbox.tier.in_(5)  # type: ignore[arg-type]
(geo.country == "US") & mbox.tier  # type: ignore[operator]

sale = experience("sale", offer(mbox="hero", json={"a": 1}), share=50, audience=geo.country == "US")
workspace = Workspace("acme", ab("hero", sale, audience=["us", mbox.visits > 1], metrics=[metric()]))
assert_type(workspace.compile(), dict[str, Any])
assert_type(workspace.to_yaml(), dict[str, str])
xt("hero", sale, traffic=50)  # type: ignore[call-arg]
offer(mbx="hero")  # type: ignore[call-arg]
