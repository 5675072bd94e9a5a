"""Forks while threads work; each script runs in a process of its own."""

from __future__ import annotations

import gc
import os
import weakref

import pytest

from support.fork_scripts import run_script
from targetry._runtime.forks import _owners, register_fork_handler

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

PRELUDE = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of any fork beside threads; that is the point
from support.background_fakes import *
from targetry.artifacts.source import ArtifactSource
from targetry.geo.lookup import GeoLookup

V1 = answer(200, b"v1")

def source_of(network, emitted, **settings):
    return ArtifactSource(transport=network, url="http://cdn.example/a", compile=compile_rules, emit=emitted,
                          log=Lines(), **{"interval_s": 0.005, **settings})

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid

def all_well(pids):
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
"""


def run(script: str) -> None:
    run_script(PRELUDE, script)


def test_child_has_the_rules_of_its_parent_and_polls_after_first_use() -> None:
    run("""
        network, emitted = Network(V1), Listener()
        source = source_of(network, emitted)
        source.start()
        assert source.wait_ready(10)

        def child():
            assert threading.active_count() == 1
            emitted._changed = threading.Condition()
            emitted.events.clear()
            network.then(answer(200, b"v2"))
            assert source.current.name == "v1"
            emitted.wait_for("artifact_download_succeeded", 2)
            assert source.current.name == "v2"
            assert source.close(10)

        all_well([in_child(child)])
        emitted.wait_for("artifact_download_succeeded", len(emitted.events) // 2 + 2)
        assert source.current.name == "v1"
    """)


def test_child_forked_before_the_first_response_gets_one() -> None:
    run("""
        asked, answered = threading.Event(), threading.Event()

        def slowly(request):
            asked.set()
            answered.wait(30)
            return V1

        network = Network(slowly)
        source = source_of(network, lambda *_, **__: None)
        source.start()
        asked.wait(30)

        def child():
            network.then(V1)
            assert source.wait_ready(10)
            assert source.current.name == "v1"

        all_well([in_child(child)])
        answered.set()
        assert source.wait_ready(10)
    """)


def test_child_of_a_closed_or_stopped_source_starts_no_thread() -> None:
    run("""
        def child():
            assert source.current.name == "v1"
            assert source.wait_ready(0)
            assert threading.active_count() == 1

        for end in ("stop_polling", "close"):
            source = source_of(Network(V1), lambda *_, **__: None)
            source.start()
            assert source.wait_ready(10)
            getattr(source, end)()
            all_well([in_child(child)])
    """)


@pytest.mark.slow
def test_forks_while_polling_never_deadlock() -> None:
    run("""
        source = source_of(Network(V1), lambda *_, **__: None, interval_s=0.0005)
        source.start()
        assert source.wait_ready(10)

        def child():
            assert source.current.name == "v1"
            source.refresh()
            source.stats()
            assert source.close(10)

        for _ in range(20):
            all_well([in_child(child) for _ in range(5)])
    """)


def test_child_does_not_wait_for_lookups_that_its_parent_was_making() -> None:
    run("""
        asked, answered = threading.Event(), threading.Event()

        def slowly(request):
            asked.set()
            answered.wait(30)
            return answer(200, b'{"x-geo-city": "Rome"}')

        network = Network(slowly)
        lookup = GeoLookup(transport=network, url="http://cdn.example/v1/geo", emit=lambda *_, **__: None, log=Lines())
        threading.Thread(target=lookup.find, args=("1.2.3.4",), daemon=True).start()
        asked.wait(30)

        def child():
            network.then(answer(200, b'{"x-geo-city": "Oslo"}'))
            assert lookup.find("1.2.3.4").city == "Oslo"

        all_well([in_child(child)])
        answered.set()
    """)


def test_fork_handlers_do_not_keep_their_owners_alive() -> None:
    class Owner:
        def after_fork(self) -> None: ...

    owner = Owner()
    register_fork_handler(owner)
    assert owner in _owners
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
