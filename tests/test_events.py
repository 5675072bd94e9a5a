"""Events: payloads, handlers and their failures."""

import ast
import asyncio
import functools
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from targetry import events
from targetry.errors import OptionError
from targetry.events import PAYLOADS, Event, Events, LazyValue


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, message: str, /) -> None:
        self.errors.append(message)


@pytest.fixture
def log() -> Log:
    return Log()


class Recorder:
    """Handlers of each signature; `calls` holds their arguments."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def without_argument(self) -> None:
        self.calls.append("nothing")

    def with_event(self, event: Event) -> None:
        self.calls.append(event)

    def with_default(self, event: Event | None = None) -> None:
        self.calls.append(event)

    def with_any(self, *args: Any, **kwargs: Any) -> None:
        self.calls.extend(args)

    def with_option(self, event: Event, *, verbose: bool = False) -> None:
        self.calls.append(event)

    async def coroutine(self, event: Event) -> None:
        await asyncio.sleep(0)
        self.calls.append(event)

    async def coroutine_without_argument(self) -> None:
        self.calls.append("nothing")

    def __call__(self, event: Event) -> None:
        self.calls.append(event)

    def with_two(self, event: Event, more: Any) -> None:
        raise AssertionError("never called")

    def with_required_keyword(self, *, event: Event) -> None:
        raise AssertionError("never called")


TAKES_EVENT: dict[str, Callable[[Recorder], Callable[..., Any]]] = {
    "method": lambda r: r.with_event,
    "default": lambda r: r.with_default,
    "any": lambda r: r.with_any,
    "keyword option": lambda r: r.with_option,
    "coroutine": lambda r: r.coroutine,
    "callable object": lambda r: r,
    "partial": lambda r: functools.partial(r.with_option, verbose=True),
    "lambda": lambda r: lambda event: r.with_event(event),
    "lambda giving a coroutine": lambda r: lambda event: r.coroutine(event),
    "builtin": lambda r: r.calls.append,
}
TAKES_NOTHING: dict[str, Callable[[Recorder], Callable[..., Any]]] = {
    "method": lambda r: r.without_argument,
    "coroutine": lambda r: r.coroutine_without_argument,
    "partial": lambda r: functools.partial(r.calls.append, "nothing"),
    "lambda": lambda r: lambda: r.calls.append("nothing"),
}
REFUSED: dict[str, Callable[[Recorder], Any]] = {
    "not callable": lambda r: "on_ready",
    "None": lambda r: None,
    "two arguments": lambda r: r.with_two,
    "required keyword": lambda r: r.with_required_keyword,
}


@pytest.mark.parametrize("handler", TAKES_EVENT.values(), ids=TAKES_EVENT)
def test_handler_that_can_take_the_event_gets_it(handler: Callable[..., Any], log: Log) -> None:
    recorder = Recorder()
    Events({"client_ready": handler(recorder)}, log).emit("client_ready", extra=1)
    assert recorder.calls == [{"type": "client_ready", "extra": 1}]
    assert log.errors == []


@pytest.mark.parametrize("handler", TAKES_NOTHING.values(), ids=TAKES_NOTHING)
def test_handler_without_parameters_is_called_without_the_event(
    handler: Callable[..., Any], log: Log
) -> None:
    recorder = Recorder()
    Events({"client_ready": handler(recorder)}, log).emit("client_ready")
    assert recorder.calls == ["nothing"]
    assert log.errors == []


def test_callable_whose_signature_cannot_be_read_gets_the_event(log: Log) -> None:
    received: dict[str, Any] = {}
    Events({"client_ready": received.update}, log).emit("client_ready")
    assert received == {"type": "client_ready"}


def test_method_of_an_object_that_cannot_be_copied_is_a_handler(log: Log) -> None:
    ready = threading.Event()
    Events({"client_ready": ready.set}, log).emit("client_ready")
    assert ready.is_set()


@pytest.mark.parametrize("handler", REFUSED.values(), ids=REFUSED)
def test_handler_that_cannot_be_called_raises(handler: Callable[..., Any], log: Log) -> None:
    with pytest.raises(OptionError) as caught:
        Events({"client_ready": handler(Recorder())}, log)
    assert caught.value.path == "events.client_ready"


def test_only_the_handlers_of_the_event_are_called_in_the_order_of_subscription(log: Log) -> None:
    calls: list[str] = []
    events = Events(None, log)
    events.subscribe("a", lambda: calls.append("first"))
    events.subscribe("b", lambda: calls.append("other"))
    events.subscribe("a", lambda: calls.append("second"))
    events.emit("a")
    assert calls == ["first", "second"]


@given(st.lists(st.one_of(st.just("subscribe"), st.integers(0, 20))))
def test_ids_are_never_reused_and_exactly_the_live_handlers_are_called(steps: list[Any]) -> None:
    events, live, every_id, calls = Events(None, Log()), {}, [], []
    for number, step in enumerate(steps):
        if step == "subscribe":
            new = events.subscribe("a", functools.partial(lambda n, event: calls.append(n), number))
            assert new not in every_id
            every_id.append(new)
            live[new] = number
        elif step < len(every_id):
            events.unsubscribe(every_id[step])
            live.pop(every_id[step], None)
    events.emit("a")
    assert calls == list(live.values())


def test_unknown_subscription_id_is_ignored(log: Log) -> None:
    Events(None, log).unsubscribe("client_ready:7")


class BrokenError(Exception):
    pass


FAILURES = {
    "exception": BrokenError("no"),
    "sys.exit": SystemExit(1),
    "cancelled": asyncio.CancelledError(),
    "endless recursion": RecursionError("too deep"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failing_handler_is_logged_and_counted_and_others_run(failure: BaseException, log: Log) -> None:
    recorder = Recorder()

    def on_ready(event: Event) -> None:
        raise failure

    events = Events({"client_ready": on_ready}, log)
    events.subscribe("client_ready", recorder.with_event)
    events.emit("client_ready")
    assert len(recorder.calls) == 1
    assert events.failures == 1
    assert "on_ready" in log.errors[0]
    assert "client_ready" in log.errors[0]
    assert type(failure).__name__ in log.errors[0]


def test_failing_coroutine_handler_is_logged_and_counted(log: Log) -> None:
    async def on_ready() -> None:
        raise BrokenError("no")

    events = Events({"client_ready": on_ready}, log)
    events.emit("client_ready")
    assert events.failures == 1
    assert "on_ready" in log.errors[0]


def test_failing_logger_does_not_stop_emit() -> None:
    class BrokenLog:
        def error(self, message: str, /) -> None:
            raise BrokenError(message)

    events = Events({"client_ready": lambda: 1 / 0}, BrokenLog())
    events.emit("client_ready")
    assert events.failures == 1


def test_keyboard_interrupt_passes_through_emit(log: Log) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Events({"client_ready": interrupted}, log).emit("client_ready")


def test_handler_can_subscribe_unsubscribe_and_emit(log: Log) -> None:
    calls: list[str] = []
    events = Events(None, log)

    def once() -> None:
        events.unsubscribe(own_id)
        events.subscribe("a", lambda: calls.append("later"))
        events.emit("b")

    own_id = events.subscribe("a", once)
    events.subscribe("b", lambda: calls.append("inner"))
    events.emit("a")
    events.emit("a")
    assert calls == ["inner", "later"]
    assert log.errors == []


def test_each_handler_gets_its_own_event(log: Log) -> None:
    recorder = Recorder()
    events = Events({"a": lambda event: event.clear()}, log)
    events.subscribe("a", recorder.with_event)
    events.emit("a", extra=1)
    assert recorder.calls == [{"type": "a", "extra": 1}]


def test_in_a_running_loop_a_coroutine_handler_becomes_a_task_there(log: Log) -> None:
    async def main() -> list[Any]:
        seen: list[Any] = []

        async def on_ready() -> None:
            seen.append(asyncio.get_running_loop())

        Events({"client_ready": on_ready}, log).emit("client_ready")
        assert seen == []  # emit does not wait for it
        await asyncio.sleep(0)
        assert seen == [asyncio.get_running_loop()]
        return seen

    assert asyncio.run(main())


def test_task_that_fails_is_logged_and_counted(log: Log) -> None:
    async def main() -> Events:
        async def on_ready() -> None:
            raise BrokenError("no")

        events = Events({"client_ready": on_ready}, log)
        events.emit("client_ready")
        for _ in range(3):
            await asyncio.sleep(0)
        return events

    assert asyncio.run(main()).failures == 1
    assert "on_ready" in log.errors[0]


def test_task_cancelled_by_its_loop_is_not_a_failure(log: Log) -> None:
    async def main() -> Events:
        events = Events({"client_ready": lambda: asyncio.Event().wait()}, log)
        events.emit("client_ready")
        await asyncio.sleep(0)
        return events

    assert asyncio.run(main()).failures == 0


def test_running_a_coroutine_keeps_the_event_loop_of_the_thread(log: Log) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        Events({"client_ready": lambda: asyncio.sleep(0)}, log).emit("client_ready")
        assert asyncio.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_event_is_read_by_key_and_by_attribute() -> None:
    event = Event(type="artifact_download_failed", artifact_location="https://cdn.example/rules.json")
    assert event["artifact_location"] == event.artifact_location == "https://cdn.example/rules.json"


def test_missing_attribute_raises_an_error_that_lists_the_keys() -> None:
    with pytest.raises(AttributeError, match="'client_ready' has no 'artifact'; it has type"):
        _ = Event(type="client_ready").artifact


READINGS: dict[str, Callable[[Event], Any]] = {
    "key": lambda e: e["payload"],
    "attribute": lambda e: e.payload,
    "get": lambda e: e.get("payload"),
    "setdefault": lambda e: e.setdefault("payload", None),
    "pop": lambda e: e.pop("payload"),
    "popitem": lambda e: e.popitem()[1],
    "values": lambda e: list(e.values())[-1],
    "items": lambda e: list(e.items())[-1][1],
    "copy": lambda e: e.copy()["payload"],
    "dict": lambda e: dict(e)["payload"],
    "unpacking": lambda e: {**e}["payload"],
    "keywords": lambda e: (lambda **kwargs: kwargs)(**e)["payload"],
    "union": lambda e: (e | {})["payload"],
    "union into": lambda e: ({} | e)["payload"],
    "json": lambda e: json.loads(json.dumps(e))["payload"],
    "equality": lambda e: {"rules": 1} if e == {"type": "a", "payload": {"rules": 1}} else None,
    "inequality": lambda e: None if e != {"type": "a", "payload": {"rules": 1}} else {"rules": 1},
}


@each_case("read", READINGS.values(), ids=READINGS)
def test_lazy_value_never_leaves_the_event(read: Callable[[Event], Any]) -> None:
    assert read(Event(type="a", payload=LazyValue(lambda: {"rules": 1}))) == {"rules": 1}


def test_lazy_value_is_computed_when_it_is_read(log: Log) -> None:
    computed: list[str] = []
    seen: list[str] = []
    events = Events({"a": lambda event: seen.append(f"{event.where} {event!r}")}, log)
    events.emit("a", where="there", payload=LazyValue(lambda: computed.append("now")))
    assert computed == []
    assert seen == ["there Event({'type': 'a', 'where': 'there', 'payload': Ellipsis})"]


def test_lazy_value_is_computed_once_for_all_handlers(log: Log) -> None:
    computed: list[str] = []
    events = Events({"a": lambda event: event.payload}, log)
    events.subscribe("a", lambda event: (event.payload, event.payload))
    events.emit("a", payload=LazyValue(lambda: computed.append("now")))
    assert computed == ["now"]


def emitted_keys() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the event and the keys of each call that emits one of the client's events."""
    names = {name for name, value in vars(events).items() if isinstance(value, str) and value in PAYLOADS}
    named = re.compile(rf"\b(?:{'|'.join(names)})\b")
    texts = (file.read_text("utf-8") for file in Path(events.__file__).parent.rglob("*.py"))
    for text in filter(named.search, texts):  # which is faster than the syntax trees of all
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
                name = node.args[0].id
                if name in names:
                    keys = frozenset(str(one.arg) for one in node.keywords)
                    yield getattr(events, name), keys


def test_each_event_is_emitted_with_the_keys_of_its_payload() -> None:
    found = list(emitted_keys())
    assert {name for name, _ in found} == set(PAYLOADS)
    assert [(name, keys) for name, keys in found if keys != PAYLOADS[name].__annotations__.keys()] == []
