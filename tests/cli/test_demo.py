from __future__ import annotations

import re

import pytest
from click.testing import Result

from support.cli import run
from targetry.cli.decide import open_client, read_source
from targetry.cli.demo import DEMO_VISITORS, split, visitor_ids


@pytest.fixture(scope="module")
def demo() -> Result:
    return run("demo", "--visitors", "100", width=100)


@pytest.mark.slow
def test_demo_has_ten_thousand_visitors_by_default() -> None:
    assert "The split of “Hero: autumn sale” over 10,000 visitors" in run("demo").stdout


def test_demo_shows_offers_the_split_and_the_time(demo: Result) -> None:
    assert demo.exit_code == 0
    assert re.search(
        "Ada: Firefox, Germany +Free delivery +German-speaking Europe +Checkout of today", demo.stdout
    )
    assert "The split of “Hero: autumn sale” over 100 visitors" in demo.stdout
    assert re.search(r"Everyday +50\.0 % +\d\d\.\d %   █+", demo.stdout)
    assert re.search(r"get_offers took [\d,]+\.\d µs \(median of 100\), about [\d,]+ a second\.", demo.stdout)


def test_pipe_gets_neither_progress_nor_colors_nor_long_lines(demo: Result) -> None:
    assert demo.stderr == ""
    assert "\x1b" not in demo.stdout
    assert max(len(line) for line in demo.stdout.splitlines()) <= 100


@pytest.mark.slow
def test_split_matches_the_artifact() -> None:
    with open_client(read_source(None)) as client:
        shares = split(client, visitor_ids(DEMO_VISITORS))

    assert [(share.experience, share.asked) for share in shares] == [
        ("Everyday", 50),
        ("Autumn sale", 30),
        ("Free delivery", 20),
    ]
    assert max(abs(share.got - share.asked) for share in shares) < 2
    assert sum(share.got for share in shares) == 100


def test_visitor_ids_are_the_same_in_each_run() -> None:
    assert list(visitor_ids(3)) == ["visitor-00000", "visitor-00001", "visitor-00002"]
