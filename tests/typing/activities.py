"""Conditions of audiences, as type checkers see them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_type

from targetry.activities import Audience, Operand, current_timestamp, expression, geo, mbox, page, user

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
