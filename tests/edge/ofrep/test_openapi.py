"""Conformance of responses to OFREP's description, for requests of any form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup

from support.examples import examples
from support.ofrep import flags
from support.ofrep_openapi import ALL, ONE, cases, check, operation
from targetry.edge.in_process import edge

KEYS = ["static", "static:on", "gold", "rest", "split", "a b#c", "home/hero"]


class Prober:
    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False

    def ask(self, case: Any) -> None:
        check(case.call(base_url=self.url, session=self.session, timeout=10), case)


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with edge(flags()) as here:
        prober = Prober(here.url)
        yield prober
        prober.session.close()


@pytest.mark.parametrize(
    ("path", "status", "document"),
    [
        (ONE, 200, {"key": "a", "reason": "WHY", "variant": "", "metadata": {}}),
        (ONE, 200, {"key": "a", "reason": "SPLIT", "metadata": {}}),
        (ONE, 404, {"errorDetails": "x"}),
        (ALL, 200, {"flags": [{"key": "a"}], "metadata": {}, "eventStreams": []}),
        (ALL, 500, {"errorDetails": "x"}),
    ],
)
def test_check_detects_a_wrong_response(path: str, status: int, document: Any) -> None:
    answer = requests.Response()
    answer.status_code = status
    answer._content = json.dumps(document).encode()
    answer.headers["content-type"] = "application/json"
    answer.request = requests.Request("POST", "http://127.0.0.1/").prepare()
    with pytest.raises(FailureGroup):
        check(answer, operation(path).Case(path_parameters={"key": "a"}))


QUIET = {"suppress_health_check": list(HealthCheck), "deadline": None}


@pytest.mark.parametrize("path", [ONE, ALL])
def test_each_response_conforms_to_the_description(prober: Prober, path: str) -> None:
    @settings(max_examples=examples(40), derandomize=True, **QUIET)
    @given(st.deferred(lambda: cases(path, KEYS)))
    def ask(case: Any) -> None:
        prober.ask(case)

    ask()


@pytest.mark.slow
@pytest.mark.parametrize("path", [ONE, ALL])
def test_many_responses_conform_to_the_description(prober: Prober, path: str) -> None:
    @settings(max_examples=150, **QUIET)
    @given(st.deferred(lambda: cases(path, KEYS)))
    def ask(case: Any) -> None:
        prober.ask(case)

    ask()
