"""Hooks of an edge: what they see of evaluations over OFREP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from support.edge import web_client
from support.ofrep import ALL, ONE, evaluate, flags, post
from targetry import Activity, DecisioningMethod, OptionError
from targetry.hooks import CallEnded, CallStarted, Hook, install_hook, uninstall_hook
from targetry.testing import edge

CALLER: ContextVar[str] = ContextVar("caller", default="nobody")


class Recorder(Hook):
    """A hook that keeps the calls that ended, and for whom they began."""

    def __init__(self) -> None:
        self.callers: list[str] = []
        self.ended: list[CallEnded] = []

    def before_request(self, call: CallStarted) -> None:
        self.callers.append(CALLER.get())

    def after_decision(self, call: CallEnded) -> None:
        self.ended.append(call)


def seen(call: CallEnded) -> list[tuple[Any, ...]]:
    return [(one.key, one.reason, one.variant, one.error_code, one.value) for one in call.evaluations]


def test_flag_is_a_call_with_its_evaluation_and_visitor() -> None:
    recorder = Recorder()
    evaluate(web_client(artifact=flags(), hooks=[recorder]), "static:on")
    (call,) = recorder.ended
    assert (call.kind, call.name, call.method) == ("flag", "static:on", DecisioningMethod.ON_DEVICE)
    assert (call.decided_by, call.visitor_id) == (DecisioningMethod.ON_DEVICE, "u1")
    assert (call.error, call.duration_s > 0) == (None, True)
    assert seen(call) == [("static:on", "STATIC", "Experience 0", None, True)]
    (evaluation,) = call.evaluations
    assert evaluation.activity == Activity(1, "Activity 1", "ab")
    assert (evaluation.flag_set, bool(evaluation.version)) == ("acme", True)


FAILURES: dict[str, tuple[str, Any, str]] = {
    "no targeting key": ("split", {}, "TARGETING_KEY_MISSING"),
    "unknown key": ("unknown", {}, "FLAG_NOT_FOUND"),
    "no key": (":", {}, "FLAG_NOT_FOUND"),
    "wrong context": ("static", {"url": 5}, "INVALID_CONTEXT"),
}


@pytest.mark.parametrize(("key", "context", "code"), FAILURES.values(), ids=FAILURES)
def test_flag_that_fails_is_an_evaluation_with_its_error(key: str, context: Any, code: str) -> None:
    recorder = Recorder()
    evaluate(web_client(artifact=flags(), hooks=[recorder]), key, context)
    (call,) = recorder.ended
    assert seen(call) == [(key, "ERROR", None, code, None)]
    assert (call.error, call.decided_by) == (None, None)


def test_all_flags_are_one_call_with_an_evaluation_for_each() -> None:
    recorder = Recorder()
    document = post(web_client(artifact=flags(), hooks=[recorder]), ALL).json()
    (call,) = recorder.ended
    assert (call.kind, call.name, call.visitor_id) == ("all_flags", None, "u1")
    assert [one.key for one in call.evaluations] == [one["key"] for one in document["flags"]]


def test_all_flags_that_fail_are_a_call_with_an_error() -> None:
    recorder = Recorder()
    post(web_client(artifact=flags(), hooks=[recorder]), ALL, context=3)
    (call,) = recorder.ended
    assert (str(call.error), call.evaluations) == ("context: must be a JSON object", [])


CONTEXTS: dict[str, dict[str, Any]] = {
    "on the event loop": {},
    "in a thread": {"filler": [0] * 2000},
}


@pytest.mark.parametrize("more", CONTEXTS.values(), ids=CONTEXTS)
def test_hooks_run_in_the_context_of_the_request(more: dict[str, Any]) -> None:
    recorder = Recorder()
    client = web_client(artifact=flags(), hooks=[recorder])
    application = client.app

    async def named(scope: Any, receive: Any, send: Any) -> None:
        CALLER.set(scope["path"].removeprefix(ONE))
        await application(scope, receive, send)

    client = type(client)(named)
    for key in ("static", "gold"):
        evaluate(client, key, {"targetingKey": "u1", **more})
    assert recorder.callers == ["static", "gold"]


class Raising(Hook):
    def after_decision(self, call: CallEnded) -> None:
        raise RuntimeError("a visitor's secret")


def test_hook_that_raises_changes_no_response_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    client = web_client(artifact=flags(), hooks=[Raising()])
    with caplog.at_level(logging.ERROR, "targetry.edge"):
        assert [evaluate(client, "static:on").json()["value"] for _ in range(3)] == [True] * 3
    assert "targetry_edge_hook_failures_total 3.0" in client.get("/metrics").text.splitlines()
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == [
        "the hook Raising.after_decision failed: RuntimeError; the call goes on without it"
    ]


@contextmanager
def installed(hook: Hook) -> Iterator[None]:
    install_hook(hook)
    try:
        yield
    finally:
        uninstall_hook(hook)


def test_installed_hook_observes_later_edges_unless_they_have_one() -> None:
    recorder, own = Recorder(), Recorder()
    with installed(recorder):
        evaluate(web_client(artifact=flags()), "static")
        evaluate(web_client(artifact=flags(), hooks=[own]), "static")
    evaluate(web_client(artifact=flags()), "static")
    assert len(recorder.ended) == len(own.ended) == 1


def test_wrong_hook_of_a_local_edge_raises_with_its_position() -> None:
    with pytest.raises(OptionError) as raised, edge(flags(), hooks=[Recorder(), 3]):  # type: ignore[list-item]
        pass
    assert raised.value.path == "hooks[1]"
