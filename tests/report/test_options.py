"""Options of a report: values of a wrong type are named with their path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from targetry.errors import OptionError
from targetry.report.options import ActivityPlan, Guardrail, ReportOptions

WRONG: dict[str, list[Any]] = {
    "fixed": ["no", 1, None],
    "confidence": ["0.95", None, True, 10**400],
    "metric": [5, "", "clicks", ["revenue"]],
    "planned": ["60000", 600.0, True],
    "cap": ["20", True, float("nan"), 10**400],
    "cap_percentile": ["0.9", True],
    "cuped": ["7", 7.0, True],
    "bayes": ["no", 0],
    "margin": ["1%", True],
    "guardrails": [5, None, "revenue", Guardrail("revenue", 0.02), {"revenue": 0.02}],
    "guardrails[1]": [(Guardrail("orders", 0.02), "revenue"), [Guardrail("orders", 0.02), None]],
    "guardrails[0].metric": [(Guardrail(5, 0.02),)],  # type: ignore[arg-type]
    "guardrails[0].margin": [(Guardrail("revenue", "2%"),)],  # type: ignore[arg-type]
    "plans": [5, None, [ActivityPlan(planned=700)], {7: ActivityPlan(planned=700)}],
    "plans['7']": [{"7": 700}, {"7": None}],
    "plans['7'].planned": [{"7": ActivityPlan(planned=7)}, {"7": ActivityPlan(planned="700")}],  # type: ignore[arg-type]
    "plans['7'].metric": [{"7": ActivityPlan(metric=one)} for one in ("clicks", "", 5)],  # type: ignore[arg-type]
    "plans['7'].guardrails": [{"7": ActivityPlan(guardrails=one)} for one in (5, 0, "", "revenue")],  # type: ignore[arg-type]
    "plans['7'].guardrails[0]": [{"7": ActivityPlan(guardrails=("revenue",))}],  # type: ignore[arg-type]
    "plans['7'].guardrails[0].margin": [{"7": ActivityPlan(guardrails=(Guardrail("revenue", 2.0),))}],
    "over_time": ["no", 1],
    "amounts": [None, 0],
    "zone": [5, None, "", "Mars", "Europe", "../UTC", "Europe/Berlin\x00"],
}


@pytest.mark.parametrize("path", WRONG)
def test_value_of_a_wrong_type_is_named_with_its_path(path: str) -> None:
    name = path.partition("[")[0]
    more = {"fixed": True} if name == "cap_percentile" else {}
    for value in WRONG[path]:
        with pytest.raises(OptionError) as caught:
            ReportOptions(**{name: value, **more})
        assert caught.value.path == path, value


def test_table_has_every_option() -> None:
    assert {path.partition("[")[0] for path in WRONG} == set(ReportOptions.__struct_fields__)


def test_guardrails_can_be_a_list() -> None:
    rails = [Guardrail("revenue", 0.02)]
    options = msgspec.structs.replace(ReportOptions(), guardrails=rails)
    assert list(options.guardrails) == rails
