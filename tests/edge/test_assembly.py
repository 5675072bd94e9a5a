"""Checks of an edge's options: those that need another one."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import each_case
from targetry.edge.assembly import check_edge_options
from targetry.edge.options import EdgeOptions
from targetry.errors import OptionError


@each_case(
    "option, value, needed, advice",
    [
        ("segments", ["browser"], {"data": "ledger"}, "give --data or --ledger"),
        ("zone", "Europe/Berlin", {"data": "ledger"}, "give --data or --ledger"),
        ("keep_days", 30, {"ledger": "postgresql://db/targetry"}, "give --data or --ledger"),
        ("max_size", 2_000_000, {"data": "ledger"}, "give --data or --ledger"),
        ("record_share", 0.5, {"record_requests": "log"}, "give --record-requests"),
        ("record_max_size", 1_000, {"record_requests": "log"}, "give --record-requests"),
        ("record_hashed_ids", True, {"record_requests": "log"}, "give --record-requests"),
        ("ofrep_tokens", ["t"], {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_targeting_key", "ecid", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_targeting_key_parameter", "key", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_impressions", "none", {"ofrep": True}, "leave --no-ofrep out"),
        ("ofrep_reasons", "strict", {"ofrep": True}, "leave --no-ofrep out"),
    ],
)
def test_option_without_effect_is_an_error(
    option: str, value: Any, needed: dict[str, Any], advice: str
) -> None:
    given = {"ofrep": False, option: value}
    with pytest.raises(OptionError, match=advice) as caught:
        check_edge_options(EdgeOptions(**given))
    assert caught.value.path == option
    check_edge_options(EdgeOptions(**given | needed))


def test_empty_list_is_no_option_without_effect() -> None:
    check_edge_options(EdgeOptions(segments=[], ofrep_tokens=[], ofrep=False))
