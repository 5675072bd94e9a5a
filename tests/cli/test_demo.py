from __future__ import annotations

import re

from cli_kit import run, shown
from targetry.cli.answer import open_client, read_source
from targetry.cli.demo import VISITORS, split, visitor_ids


def test_the_demo_shows_offers_the_split_and_the_time() -> None:
    text = shown("demo")

    assert re.search("Ada: Firefox, Germany +Free delivery +German-speaking Europe +Checkout of today", text)
    assert "The split of “Hero: autumn sale” over 10,000 visitors" in text
    assert re.search(r"Everyday +50\.0 % +50\.\d %   █+", text)
    assert re.search(r"get_offers took \d+\.\d µs \(median of 2,000\), about [\d,]+ a second\.", text)


def test_a_pipe_gets_no_progress() -> None:
    assert run("demo").stderr == ""


def test_the_split_is_what_the_artifact_asks_for() -> None:
    with open_client(read_source(None)) as client:
        shares = split(client, visitor_ids(VISITORS))

    assert [(share.experience, share.asked) for share in shares] == [
        ("Everyday", 50),
        ("Autumn sale", 30),
        ("Free delivery", 20),
    ]
    assert max(abs(share.got - share.asked) for share in shares) < 2
    assert sum(share.got for share in shares) == 100


def test_visitors_are_the_same_every_time() -> None:
    assert list(visitor_ids(3)) == ["visitor-00000", "visitor-00001", "visitor-00002"]
