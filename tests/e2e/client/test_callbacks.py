"""Calls with a callback: one of two callbacks is called, and `get` returns or raises the same."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.pool import AsyncResult
from typing import Any

import pytest

from e2e.client.conftest import reach
from e2e.client.target import DELIVERY, Target, artifact
from servers.faulty import HANG, answer
from support.late import LATE_S
from targetry import (
    ApiException,
    AttributesProvider,
    DeadlineError,
    DeliveryRequest,
    ExecuteRequest,
    MboxRequest,
    NotReadyError,
    OptionError,
    TargetClient,
    TargetDeliveryResponse,
)

HERO = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
CLICK = {"notifications": [{"id": "n", "timestamp": 1, "type": "click"}]}


class Calls:
    """Both callbacks; they record their arguments and threads."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def callback(self, result: Any) -> None:
        self.threads.append(threading.current_thread())
        self.results.append(result)

    def err_callback(self, error: BaseException) -> None:
        self.threads.append(threading.current_thread())
        self.errors.append(error)

    @property
    def options(self) -> dict[str, Any]:
        return {"callback": self.callback, "err_callback": self.err_callback}


@pytest.fixture
def client(target: Target) -> Iterator[TargetClient]:
    with TargetClient.create(reach(target)) as client:
        yield client


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_callback_and_get_have_the_same_result(client: TargetClient, calls: Calls) -> None:
    pending = client.get_offers(request=HERO, **calls.options)
    assert isinstance(pending, AsyncResult)
    result = pending.get(10)
    assert type(result) is TargetDeliveryResponse
    assert calls.results == [result]
    assert calls.results[0] is result
    assert calls.errors == []
    assert pending.successful()
    assert calls.threads[0] is not threading.current_thread()


def test_error_is_passed_to_err_callback_and_raised_by_get(
    client: TargetClient, calls: Calls, target: Target
) -> None:
    target.on(DELIVERY, answer(400))
    pending = client.get_offers(request=HERO, **calls.options)
    with pytest.raises(ApiException, match="400") as caught:
        pending.get(10)
    assert calls.errors == [caught.value]
    assert calls.results == []


def test_timeout_is_passed_to_the_err_callback(target: Target, calls: Calls) -> None:
    target.on(DELIVERY, HANG)
    with TargetClient.create({**reach(target), "timeout": 200}) as client:
        pending = client.get_offers(request=HERO, **calls.options)
        pending.wait(10)
        assert not pending.successful()
    assert [type(error) for error in calls.errors] == [DeadlineError]


def test_invalid_arguments_raise_at_once(client: TargetClient, calls: Calls, target: Target) -> None:
    with pytest.raises(OptionError, match="Request object"):
        client.get_offers(request=None, **calls.options)
    with pytest.raises(OptionError, match="Callback must be a callable function"):
        client.get_offers(request=HERO, callback="no")
    assert calls.threads == []
    assert target.requests == []


def test_error_of_a_callback_is_only_logged(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("callback is broken")

    with TargetClient.create(reach(target)) as client, caplog.at_level(logging.ERROR, "adobe.target"):
        pending = client.get_offers(request=HERO, callback=broken)
        assert pending.get(10)["response"].status == 200
        target.on(DELIVERY, answer(400))
        pending = client.get_offers(request=HERO, callback=print, err_callback=broken)
        with pytest.raises(ApiException):
            pending.get(10)
    assert [record.message for record in caplog.records] == [
        f"The callback {broken.__qualname__} failed: RuntimeError('callback is broken')"
    ] * 2


def test_attributes_and_notifications_accept_callbacks(client: TargetClient, calls: Calls) -> None:
    attributes = client.get_attributes(["hero"], {"request": HERO, **calls.options}).get(10)
    sent = client.send_notifications({"request": CLICK, **calls.options}).get(10)
    assert isinstance(attributes, AttributesProvider)
    assert attributes.get_value("hero", "title") == "remote hero"
    assert [one.id for one in sent.notifications] == ["n"]
    assert calls.results == [attributes, sent]


def test_options_of_the_caller_are_reusable(client: TargetClient, calls: Calls) -> None:
    options = {"request": HERO, **calls.options}
    before = dict(options)
    for _ in range(3):
        client.get_attributes(["hero"], options).get(10)
    assert options == before
    assert len(calls.results) == 3


def test_on_device_calls_use_the_callbacks(target: Target, calls: Calls) -> None:
    options = {**reach(target), "decisioning_method": "on-device", "polling_interval": 0}
    with TargetClient.create({**options, "artifact_payload": artifact()}) as client:
        result = client.get_offers(request=HERO, **calls.options).get(10)
        assert calls.results == [result]
        assert result["meta"]["decisioning_method"] == "on-device"
    target.on("/acme/production/v1/rules.json", answer(404))
    with TargetClient.create({**options, "cdn_base_path": target.url}) as client:
        pending = client.get_offers(request=HERO, **calls.options)
        with pytest.raises(NotReadyError):
            pending.get(10)
    assert [type(error) for error in calls.errors] == [NotReadyError]


def test_callback_can_call_the_client(client: TargetClient) -> None:
    again: list[Any] = []
    done = threading.Event()

    def callback(_: object) -> None:
        again.append(client.get_offers(request=HERO))
        done.set()

    client.get_offers(request=HERO, callback=callback).get(10)
    assert done.wait(10)
    assert again[0]["response"].status == 200


def test_many_calls_use_few_threads(client: TargetClient, calls: Calls) -> None:
    pending = [client.get_offers(request=HERO, **calls.options) for _ in range(200)]
    assert all(one.get(20)["response"].status == 200 for one in pending)
    assert len(calls.results) == 200
    assert len(set(calls.threads)) <= 16


def test_close_does_not_wait_for_calls_in_progress_which_still_end(target: Target, calls: Calls) -> None:
    target.on(DELIVERY, HANG)
    client = TargetClient.create({**reach(target), "timeout": 300})
    pending = [client.get_offers(request=HERO, **calls.options) for _ in range(20)]
    target.wait_for(16)
    client.close()
    for one in pending:
        one.wait(10)
        assert one.ready()
    assert calls.results == []
    assert len(calls.errors) == 20


def test_callbacks_are_called_in_time_while_many_calls_hang(target: Target) -> None:
    target.on(DELIVERY, HANG)
    took: list[float] = []
    done = threading.Semaphore(0)

    def err_callback(error: BaseException, submitted: float) -> None:
        took.append(time.perf_counter() - submitted)
        assert isinstance(error, DeadlineError)
        done.release()

    with TargetClient.create({**reach(target), "timeout": 1000}) as client:
        with pytest.raises(DeadlineError):
            client.get_offers(request=HERO)
        for _ in range(128):
            client.get_offers(
                request=HERO,
                callback=print,
                err_callback=partial(err_callback, submitted=time.perf_counter()),
            )
        threads = [one for one in threading.enumerate() if one.name.startswith("targetry-callback")]
        assert all(done.acquire(timeout=LATE_S) for _ in range(128))
    assert max(took) < 6  # one group of threads after the other would take 8 seconds
    assert len(threads) <= 16 + 1
