"""Erasure of visitors: figures as if their events never came, and no trace in the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support.cases import each_case
from support.edge_process import address, post, process, shown
from support.ledger import event, outcome, plain_sums
from support.plain_aggregation import aggregate_plainly
from targetry.errors import OptionError
from targetry.ledger import counting
from targetry.ledger import retention as module
from targetry.ledger.database import FILE_NAME
from targetry.ledger.errors import NoLedgerError
from targetry.ledger.event import LedgerEvent
from targetry.ledger.ledger import Ledger
from targetry.ledger.location.erase import erase_visitors
from targetry.ledger.reader import Reader

SECRETS = ("secret-visitor", "secret-order", "secret-fact", "secret-session")


def events_of(visitor: str, number: int) -> list[LedgerEvent]:
    """Return impressions with facts and orders, whose texts name the visitor's secrets."""
    return [
        event(
            f"{visitor}-{n}",
            "order" if n % 3 else "impression",
            visitor,
            1000 + n,
            order_id=f"secret-order-{n}" if n % 3 else None,
            order_total=1.5,
            facts={"plan": f"secret-fact-{n}"},
            location="secret-session",
        )
        for n in range(number)
    ]


@pytest.mark.parametrize("pieces", [20, 2_000])
def test_erased_visitor_leaves_figures_of_the_others_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr(module, "PIECE", pieces)
    monkeypatch.setattr(counting, "PIECE", pieces)
    others = [*outcome("0", 60, 20), *outcome("1", 60, 30)]
    # Another visitor has one of the orders later.
    others.append(event("again", "order", "1-0-1", 9000, order_id="B-1", order_total=2.0))
    shared = event("first", "order", "secret-visitor", 1001, order_id="B-1", order_total=2.0)
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([*others[:60], *events_of("secret-visitor", 120), shared])
        ledger.reader().close()  # counts
        ledger.record(others[60:])
    done = erase_visitors(tmp_path, ["secret-visitor", "secret-visitor", "unknown"])
    assert done == (121, ("unknown",), ())
    with Reader.open(tmp_path) as reader:
        assert plain_sums(reader.sums()) == aggregate_plainly(others)
        assert list(reader.events()) == others
        assert reader.segments("plan").keys() == {""}
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert [one for one in SECRETS if one.encode() in content] == []
    assert b"1-0-1" in content


def test_erasure_makes_the_file_smaller(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, sync="NORMAL") as ledger:
        ledger.record([*events_of("one", 3_000), event("other", visitor="other")])
    before = (tmp_path / FILE_NAME).stat().st_size
    assert erase_visitors(tmp_path, ["one"]).removed == 3_000
    assert (tmp_path / FILE_NAME).stat().st_size < before / 4


def test_damaged_file_that_was_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    with Ledger.open(tmp_path, warn=lambda _: None) as ledger:
        ledger.record([event("a")])
    assert erase_visitors(tmp_path, ["ada"]).files == ("ledger-1.corrupt", "ledger-1.corrupt.txt")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs processes that share a folder")
def test_edge_records_on_after_an_erasure(tmp_path: Path) -> None:
    with process("--data", tmp_path, "--workers", "2") as running:
        url = address(running)
        assert [post(url, shown(f"visitor-{n}")) for n in range(200)] == [200] * 200
        done = erase_visitors(tmp_path, [f"visitor-{n}" for n in range(5, 200)])
        assert done == (195, (), ("ledger.db-wal",))
        assert [post(url, shown(f"later-{n}")) for n in range(20)] == [200] * 20
        running.terminate()
        running.wait(60)
    with Reader.open(tmp_path) as reader:
        visitors = {one.visitor for one in reader.events()}
    assert visitors == {*(f"visitor-{n}" for n in range(5)), *(f"later-{n}" for n in range(20))}
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"visitor-77" not in content
    assert not list(tmp_path.glob("*.corrupt"))


@each_case(
    "visitors, path",
    [("ada", "visitors"), (["ada", 5], "visitors[1]"), (["\udcff"], "visitors[0]")],
)
def test_visitors_that_no_ledger_can_hold_are_an_error_with_their_path(visitors: Any, path: str) -> None:
    """A text is no list of visitors, so that "ada" does not erase the visitors "a" and "d"."""
    with pytest.raises(OptionError) as caught:
        erase_visitors("folder", visitors)
    assert caught.value.path == path


def test_location_without_a_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoLedgerError):
        erase_visitors(tmp_path, ["ada"])
    with pytest.raises(OptionError, match="must be a folder"):
        erase_visitors("mysql://host/db", ["ada"])
    with pytest.raises(OptionError, match="must not be empty"):
        erase_visitors("", ["ada"])
