"""`target_tools.event_provider` and `target_tools.logger`."""

from __future__ import annotations

import logging
from typing import Any

from target_tools.event_provider import EventProvider
from target_tools.logger import get_logger


def test_subscribers_are_told_the_type_and_the_payload() -> None:
    told: list[Any] = []
    provider = EventProvider({"news": told.append})
    provider.emit("news", {"title": "x"})
    provider.emit("news")
    provider.emit("other")
    assert told == [{"type": "news", "title": "x"}, {"type": "news"}]
    assert told[0].title == "x"


def test_a_subscription_can_be_ended() -> None:
    told: list[Any] = []
    provider = EventProvider()
    first = provider.subscribe("news", told.append)
    second = provider.subscribe("news", told.append)
    provider.unsubscribe(first)
    provider.emit("news")
    assert len(told) == 1
    assert provider.subscribe("news", told.append) not in (first, second)


def test_the_logger_is_the_given_one_or_adobe_target() -> None:
    own = logging.getLogger("own")
    assert get_logger(own) is own
    assert get_logger() is logging.getLogger("adobe.target")
