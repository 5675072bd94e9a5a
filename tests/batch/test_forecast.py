"""Counts of what a table gets."""

from __future__ import annotations

import pyarrow as pa
import pytest

from support.device import artifact, rule, window
from targetry.batch import forecast
from targetry.batch.forecast import chi_square_p_value

GOLD = {"==": [{"var": "mbox.plan"}, "gold"]}
DOCUMENT = artifact(
    {
        "hero": [rule(1, window(0, 50)), rule(1, window(50, 99.99), experience=1)],
        "promo": [rule(2, GOLD)],
    }
)


def test_rows_and_shares_are_those_of_the_table() -> None:
    table = pa.table({"tnt_id": [f"v{n}" for n in range(1000)], "mbox.plan": ["gold", None] * 500})
    found = forecast(table, DOCUMENT, client="acme", mboxes=["hero", "promo"])
    hero, promo = found.activities
    assert (hero.rows, hero.share, promo.rows, promo.share) == (1000, 100, 500, 50)
    assert sum(one.rows for one in hero.experiences) == 1000
    assert [round(one.expected_share or 0, 1) for one in hero.experiences] == [50, 50]
    assert hero.p_value is not None
    assert hero.p_value > 0.001
    assert promo.p_value is None
    assert found.reasons == {"hero": {"matched": 1000}, "promo": {"matched": 500, "no_match": 500}}
    assert found.overlap == {1: 500, 2: 500}
    assert found.missing == []


def test_split_that_does_not_come_out_as_set_is_a_mismatch() -> None:
    everyone = pa.table({"tnt_id": ["the same"] * 500})
    (hero,) = forecast(everyone, DOCUMENT, client="acme", mboxes=["hero"]).activities
    assert hero.is_mismatch


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 7, 10])
def test_p_value_is_that_of_the_distribution(degrees: int) -> None:
    from scipy.special import chdtrc

    for statistic in (0, 0.1, 1, 5, 20, 60):
        expected = pytest.approx(chdtrc(degrees, statistic), rel=1e-9)
        assert chi_square_p_value(statistic, degrees) == expected
