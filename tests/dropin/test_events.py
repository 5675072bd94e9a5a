"""`target_tools.event_provider` and `target_tools.logger`."""

from __future__ import annotations

import logging
from typing import Any

from target_tools.event_provider import EventProvider, target_event
from target_tools.logger import get_logger


def test_subscribers_get_the_type_and_the_payload() -> None:
    emitted: list[Any] = []
    provider = EventProvider({"news": emitted.append})
    provider.emit("news", {"title": "x"})
    provider.emit("news")
    provider.emit("other")
    assert emitted == [{"type": "news", "title": "x"}, {"type": "news"}]
    assert emitted[0].title == "x"


def test_subscription_can_be_ended() -> None:
    emitted: list[Any] = []
    provider = EventProvider()
    first = provider.subscribe("news", emitted.append)
    second = provider.subscribe("news", emitted.append)
    provider.unsubscribe(first)
    provider.emit("news")
    assert len(emitted) == 1
    assert provider.subscribe("news", emitted.append) not in (first, second)


def test_logger_is_the_given_one_or_adobe_target() -> None:
    own = logging.getLogger("own")
    assert get_logger(own) is own
    assert get_logger() is logging.getLogger("adobe.target")


def test_subscriptions_are_counted_and_listed_by_event() -> None:
    provider = EventProvider({"news": print, "weather": print})
    third = provider.subscribe("news", len)
    assert third == "news:3"
    assert provider.subscription_count == 3
    assert provider.subscriptions == {"news": {"1": print, "3": len}, "weather": {"2": print}}
    provider.unsubscribe(third)
    assert provider.subscription_count == 2


def test_event_is_its_payload_with_its_type() -> None:
    assert target_event("news", {"title": "x"}) == {"type": "news", "title": "x"}
    assert target_event("news") == {"type": "news"}
