from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.background_fakes import REFUSED, Answer, Lines, Listener, Network, Rules, answer, compile_rules
from support.cases import each_case
from support.python_process import environment
from targetry.artifacts.refresh import RefreshResult
from targetry.artifacts.source import ArtifactSource
from targetry.http.protocol import HttpRequest, HttpResponse

URL = "https://cdn.example/rules.json"
V1, V2 = b"v1 2020-01-01T00:00:00Z", b"v2 2020-02-01T00:00:00Z"


@contextmanager
def source_of(
    network: Network, listener: Listener | None = None, **settings: Any
) -> Iterator[ArtifactSource[Rules]]:
    source = ArtifactSource[Rules](
        transport=network,
        url=URL,
        compile=compile_rules,
        emit=listener or Listener(),
        **{"log": Lines(), "interval_s": 3600, "random": lambda: 0.5, **settings},
    )
    try:
        yield source
    finally:
        source.close(10)
        for thread in workers():
            thread.join(10)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "targetry-artifact"]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Gate:
    """A response that waits until the gate is opened; `asked` is set while a request waits."""

    def __init__(self, response: HttpResponse) -> None:
        self._response = response
        self.asked = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _: HttpRequest) -> HttpResponse:
        self.asked.set()
        assert self.opened.wait(10)
        return self._response


def test_source_that_is_started_becomes_ready() -> None:
    ready = threading.Event()
    with source_of(Network(answer(200, V1)), on_ready=ready.set) as source:
        assert source.current is None
        source.start()
        assert source.wait_ready()
        assert source.current is not None
        assert source.current.name == "v1"
        assert ready.wait(10)


def test_nothing_is_requested_before_start_and_once_after_several_starts() -> None:
    network = Network(answer(200, V1))
    with source_of(network, interval_s=0) as source:
        source.refresh()
        assert network.requests == []
        source.start()
        source.start()
        assert source.wait_ready()
    assert len(network.requests) == 1


def test_artifact_is_polled_at_the_interval() -> None:
    listener = Listener()
    with source_of(Network(answer(200, V1)), listener, interval_s=0.01) as source:
        source.start()
        listener.wait_for("artifact_download_succeeded", 4)
        assert len(workers()) == 1


def test_without_interval_the_artifact_is_fetched_once_and_no_thread_stays() -> None:
    network = Network(REFUSED, REFUSED, answer(200, V1))
    with source_of(network, interval_s=0, random=lambda: 0.0) as source:
        source.start()
        assert source.wait_ready(10)
        for thread in workers():
            thread.join(10)
        assert workers() == []
    assert len(network.requests) == 3


@each_case(
    "answers",
    [[answer(403)], [answer(404)], [answer(200, b"garbage")], [REFUSED] * 4],
    ids=["forbidden", "missing", "unusable", "four failed attempts"],
)
def test_failed_start_ends_the_wait(answers: list[Answer]) -> None:
    network = Network(*answers)
    with source_of(network, random=lambda: 0.0) as source:
        source.start()
        assert not source.wait_ready(10)
        assert source.current is None
    assert len(network.requests) >= len(answers)


def test_wait_for_a_start_ends_at_its_limit() -> None:
    gate = Gate(answer(200, V1))
    with source_of(Network(gate), maximum_wait_s=0.01) as source:
        source.start()
        assert not source.wait_ready()
        gate.opened.set()
        assert source.wait_ready(10)


def test_source_that_failed_at_the_start_becomes_ready_later() -> None:
    ready = threading.Event()
    network = Network(answer(404))
    with source_of(network, on_ready=ready.set) as source:
        source.start()
        assert not source.wait_ready(10)
        assert not ready.is_set()
        network.then(answer(200, V1))
        source.refresh()
        assert ready.wait(10)
        assert source.current is not None


def test_copy_on_disk_makes_the_source_ready_before_the_network(tmp_path: Path) -> None:
    with source_of(Network(answer(200, V1)), cache_dir=tmp_path) as source:
        source.start()
        assert source.wait_ready(10)
    gate = Gate(answer(200, V2))
    with source_of(Network(gate), cache_dir=tmp_path) as source:
        source.start()
        assert source.wait_ready(10)
        assert gate.asked.wait(10)
        assert source.current is not None
        assert source.current.name == "v1"
        assert source.stats().stale
        gate.opened.set()


def test_initial_rules_are_ready_at_once_and_polling_starts_later() -> None:
    ready: list[threading.Thread] = []
    network = Network(answer(200, V1))
    brought = Rules("v0", None)
    with source_of(
        network, initial=brought, on_ready=lambda: ready.append(threading.current_thread())
    ) as source:
        source.start()
        assert source.wait_ready(0)
        assert source.current is brought
        assert ready == [threading.current_thread()]
        assert source.stats().origin == "payload"
        assert len(workers()) == 1
    assert network.requests == []


def test_initial_rules_without_interval_need_no_thread_and_no_request() -> None:
    network = Network(answer(200, V1))
    with source_of(network, initial=Rules("v0", None), interval_s=0) as source:
        source.start()
        assert workers() == []
    assert network.requests == []


def test_stopped_polling_sends_no_requests_until_resumed() -> None:
    listener = Listener()
    with source_of(Network(answer(200, V1)), listener, interval_s=0.01) as source:
        source.start()
        listener.wait_for("artifact_download_succeeded", 2)
        source.stop_polling()
        for thread in workers():
            thread.join(10)
        assert workers() == []
        assert source.stats().polling_halted
        seen = len(listener.events)
        source.resume_polling()
        listener.wait_for("artifact_download_succeeded", seen // 2 + 2)
        assert not source.stats().polling_halted


def test_resuming_without_a_stop_starts_no_second_timer() -> None:
    with source_of(Network(answer(200, V1)), interval_s=3600) as source:
        source.start()
        assert source.wait_ready(10)
        source.resume_polling()
        source.stop_polling()
        source.resume_polling()
        source.resume_polling()
        assert len(workers()) <= 1


def test_resuming_without_rules_requests_at_once() -> None:
    network, listener = Network(answer(404)), Listener()
    with source_of(network, listener) as source:
        source.start()
        assert not source.wait_ready(10)
        source.stop_polling()
        network.then(answer(200, V1))
        source.resume_polling()
        listener.wait_for("artifact_download_succeeded")
        assert source.current is not None
        assert len(network.requests) == 2


def test_refresh_returns_its_result() -> None:
    network = Network(answer(200, V1, etag='"1"'))
    with source_of(network) as source:
        source.start()
        assert source.wait_ready(10)
        network.then(answer(200, V2, etag='"2"'))
        assert source.refresh().result(10) == RefreshResult("updated")
        network.then(answer(304))
        assert source.refresh().result(10) == RefreshResult("unchanged")
        network.then(answer(200, V1))
        assert source.refresh().result(10).outcome == "failed"
        assert source.refresh(force=True).result(10) == RefreshResult("updated")
        assert source.current is not None
        assert source.current.name == "v1"


def test_refresh_in_a_handler_runs_after_the_handler() -> None:
    pending: list[RefreshResult] = []

    def emit(name: str, **_: Any) -> None:
        if name == "artifact_download_failed":
            pending.append(source.refresh().result(10))

    network = Network(answer(404), answer(200, V1))
    with source_of(network, emit) as source:  # type: ignore[arg-type]
        source.start()
        wait_until(lambda: source.current is not None)
    assert pending == [RefreshResult("pending")]


def test_refresh_is_resolved_when_the_source_is_closed() -> None:
    gate = Gate(answer(200, V1))
    with source_of(Network(gate)) as source:
        source.start()
        assert gate.asked.wait(10)
        results = [source.refresh(), source.refresh(force=True)]
        source.close(0)
        assert [result.result(10).reason for result in results] == ["the client was closed"] * 2
        assert source.refresh().result(0).outcome == "failed"
        gate.opened.set()


def test_refresh_survives_a_stop_of_polling() -> None:
    gate = Gate(answer(200, V1))
    with source_of(Network(gate, answer(200, V2))) as source:
        source.start()
        assert gate.asked.wait(10)
        result = source.refresh()
        source.stop_polling()
        gate.opened.set()
        assert result.result(10) == RefreshResult("updated")


def test_cancelled_refresh_does_not_delay_others() -> None:
    gate = Gate(answer(200, V1))
    with source_of(Network(gate, answer(200, V2))) as source:
        source.start()
        assert gate.asked.wait(10)
        cancelled, other = source.refresh(), source.refresh()
        assert cancelled.cancel()
        gate.opened.set()
        assert other.result(10) == RefreshResult("updated")


def test_refresh_is_resolved_before_handlers_return() -> None:
    go_on = threading.Event()
    network = Network(answer(200, V1))
    with source_of(network, lambda *_, **__: go_on.wait(10), initial=Rules("v0", None)) as source:  # type: ignore[arg-type]
        source.start()
        assert source.refresh().result(5) == RefreshResult("updated")
        go_on.set()


def test_refresh_works_while_polling_is_stopped() -> None:
    listener = Listener()
    with source_of(Network(answer(200, V1), answer(200, V2)), listener) as source:
        source.start()
        assert source.wait_ready(10)
        source.stop_polling()
        source.refresh()
        listener.wait_for("artifact_download_succeeded", 2)
        assert source.current is not None
        assert source.current.name == "v2"


def test_only_a_forced_refresh_uses_an_older_artifact() -> None:
    listener = Listener()
    with source_of(Network(answer(200, V2), answer(200, V1)), listener) as source:
        source.start()
        assert source.wait_ready(10)
        source.refresh()
        listener.wait_for("artifact_download_failed")
        assert source.current is not None
        assert source.current.name == "v2"
        source.refresh(force=True)
        listener.wait_for("artifact_download_succeeded", 2)
        assert source.current.name == "v1"


def test_blocked_handler_does_not_delay_decisions() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def block(*_: Any, **__: Any) -> None:
        blocked.set()
        assert go_on.wait(10)

    source = ArtifactSource[Rules](
        transport=Network(answer(200, V1)),
        url=URL,
        compile=compile_rules,
        emit=block,
        log=Lines(),
        interval_s=0,
    )
    source.start()
    assert blocked.wait(10)
    assert source.current is not None
    go_on.set()
    assert source.close(10)


def test_blocked_handler_does_not_delay_the_start() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    def block(*_: Any, **__: Any) -> None:
        blocked.set()
        assert go_on.wait(10)

    with source_of(Network(answer(200, V1)), block) as source:
        source.start()
        assert source.wait_ready()
        assert blocked.is_set()
        go_on.set()


def test_blocked_handler_does_not_delay_a_failed_start() -> None:
    go_on = threading.Event()
    with source_of(
        Network(answer(500)), lambda *_, **__: go_on.wait(10), first_round_s=0.05, timeout_s=0.05
    ) as source:
        source.start()
        assert not source.wait_ready()
        assert not go_on.is_set()
        go_on.set()


def test_source_is_ready_when_its_callback_raises() -> None:
    log = Lines()
    with source_of(Network(answer(200, V1)), log=log, on_ready=lambda: 1 / 0) as source:  # type: ignore[misc]
        source.start()
        assert source.wait_ready(10)
    assert log.errors == ["The callback of a ready artifact failed: division by zero"]


def test_closed_source_keeps_its_rules_and_sends_no_requests() -> None:
    network = Network(answer(200, V1))
    with source_of(network) as source:
        source.start()
        assert source.wait_ready(10)
        assert source.close(10)
        assert source.close(10)
        for act in (source.start, source.refresh, source.stop_polling, source.resume_polling):
            act()
        assert source.current is not None
        wait_until(lambda: workers() == [])
    assert len(network.requests) == 1


def test_close_discards_the_result_of_a_slow_request() -> None:
    gate, listener = Gate(answer(200, V1)), Listener()
    with source_of(Network(gate), listener) as source:
        source.start()
        assert gate.asked.wait(10)
        assert not source.close(0.01)
        assert not source.wait_ready(10)
        gate.opened.set()
        for thread in workers():
            thread.join(10)
        assert (source.current, listener.events) == (None, [])


def test_handler_can_close_the_source() -> None:
    closed: list[bool] = []

    def emit(*_: Any, **__: Any) -> None:
        closed.append(source.close(10))

    network = Network(answer(200, V1))
    source = ArtifactSource[Rules](
        transport=network, url=URL, compile=compile_rules, emit=emit, log=Lines(), interval_s=0.01
    )
    source.start()
    assert source.wait_ready(10)
    for thread in workers():
        thread.join(10)
    assert closed
    assert all(closed)
    assert len(network.requests) == 1


def test_garbage_collected_source_ends_its_thread() -> None:
    source = ArtifactSource[Rules](
        transport=Network(answer(200, V1)),
        url=URL,
        compile=compile_rules,
        emit=Listener(),
        log=Lines(),
        interval_s=3600,
    )
    source.start()
    assert source.wait_ready(10)
    gone = weakref.ref(source)
    threads = workers()
    del source
    for thread in threads:
        while thread.is_alive():
            gc.collect()  # while the step ends, its frame still holds the source
            thread.join(0.001)
    assert gone() is None


def test_stats_have_the_counts() -> None:
    with source_of(
        Network(answer(200, V1, etag='"1"')), interval_s=300, clock=lambda: 5.0, now=lambda: 7.0
    ) as source:
        assert (source.stats().origin, source.stats().age_s) == (None, None)
        source.start()
        assert source.wait_ready(10)
        stats = source.stats()
    assert (stats.location, stats.origin, stats.retrieval_count) == (URL, "network", 1)
    assert (stats.last_retrieved, stats.age_s, stats.stale) == (7.0, 0.0, False)
    assert (stats.polling_interval_s, stats.polling_halted) == (300, False)
    assert (stats.attempts, stats.not_modified, stats.failures, stats.last_error) == (1, 0, {}, None)


def test_source_recovers_when_the_system_has_threads_again() -> None:
    script = """if True:
        import threading
        from support.background_fakes import *
        from targetry.artifacts.source import ArtifactSource

        source = ArtifactSource(transport=Network(answer(200, b"v1")), url="http://cdn.example/a",
                                compile=compile_rules, emit=Listener(), log=Lines(), interval_s=300)
        threading.stack_size(1 << 46)
        source.start()
        assert not source.wait_ready()
        threading.stack_size(0)
        source.refresh()
        while source.current is None:
            assert threading.active_count() == 2
        assert source.close(10)
    """
    subprocess.run([sys.executable, "-c", script], check=True, env=environment(), timeout=60)


def test_wait_ends_when_the_first_round_took_too_long() -> None:
    moments = iter([0.0, 0.0, *[15.0] * 100])
    with source_of(Network(answer(503, retry_after="3600")), clock=lambda: next(moments)) as source:
        source.start()
        assert not source.wait_ready(10)
        assert source.stats().attempts == 1
