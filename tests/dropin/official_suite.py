"""Runner of the unit tests of a checkout of Adobe's repository on Targetry's import names."""

from __future__ import annotations

import importlib
import io
import json
import sys
import unittest
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol
from unittest.mock import NonCallableMock
from urllib.parse import parse_qs, urlsplit

import urllib3

import delivery_api_client
import target_decisioning_engine
import target_python_sdk
import target_tools
from targetry import DeliveryRequest, DeliveryResponse, Option, TransportError
from targetry.testing import FakeTransport, HttpRequest, HttpResponse, answer

PACKAGES = (target_python_sdk, target_tools, target_decisioning_engine)


class Urllib3Response(Protocol):
    """Response of a patched `PoolManager`."""

    status: int
    data: bytes
    headers: Any


class Responses:
    """Stand-in for `urllib3_mock.Responses`: scripted responses, and the calls that were made."""

    active: Responses | None = None

    def __init__(self, package: str = "") -> None:
        self.calls: list[HttpRequest] = []
        self._scripted: HttpResponse | None = None

    def add(self, method: str, url: str, body: str = "", status: int = 200, content_type: str = "") -> None:
        self._scripted = answer(body, status=status, headers={"content-type": content_type})

    def activate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def activated(*args: Any, **kwargs: Any) -> Any:
            self.calls.clear()
            Responses.active = self
            try:
                return function(*args, **kwargs)
            finally:
                Responses.active = None

        return activated

    def take(self, request: HttpRequest) -> HttpResponse:
        self.calls.append(request)
        if self._scripted is None:
            raise TransportError(reason="the test scripts no answer")
        return self._scripted


class Unreachable:
    """A `PoolManager` that was not patched as a whole: its method may be."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        request: Any = urllib3.PoolManager.request
        if isinstance(request, NonCallableMock):
            return request(*args, **kwargs)
        raise TransportError(reason="the tests have no network")


def answered(request: HttpRequest) -> HttpResponse:
    """Answer a request of a client by what the running test has patched."""
    if request.method == "GET":
        return fetched(request)
    if isinstance(delivery_api_client.DeliveryApi.execute, NonCallableMock):
        return delivered(request)
    if Responses.active is not None:
        return Responses.active.take(request)
    raise TransportError(reason="the tests have no network")


def fetched(request: HttpRequest) -> HttpResponse:
    manager = sys.modules["target_decisioning_engine.artifact_provider"].urllib3.PoolManager()
    response: Urllib3Response = manager.request("GET", request.url)
    body = response.data if isinstance(response.data, bytes) else str(response.data).encode()
    return HttpResponse(response.status, "", {k.lower(): v for k, v in dict(response.headers).items()}, body)


def delivered(request: HttpRequest) -> HttpResponse:
    query = parse_qs(urlsplit(request.url).query)
    asked = DeliveryRequest.from_json(request.body or b"{}")
    execute: Any = delivery_api_client.DeliveryApi.execute
    response: DeliveryResponse = execute(query["imsOrgId"][0], query["sessionId"][0], asked)
    return answer(response.to_json())


def create_options(mbox: dict[str, Any]) -> list[Option]:
    """Stand-in for `urllib3_mock.Responses`: scripted responses, and the calls that were made."""
    return [Option.from_dict(option) for option in mbox.get("options") or ()]


def stand_in(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package:
        setattr(sys.modules[package], last, module)
    return module


def prepare(checkout: Path) -> None:
    """Put the stand-ins and the tests of `checkout` where the tests import them from."""
    stand_in("urllib3_mock", Responses=Responses)
    stand_in("target_tools.response_helpers", create_options=create_options)
    pool = SimpleNamespace(PoolManager=Unreachable)
    stand_in("target_decisioning_engine.artifact_provider", urllib3=pool)
    for package in PACKAGES:
        folder = checkout / package.__name__ / "tests"
        stand_in(f"{package.__name__}.tests", __path__=[str(folder)])
    client: Any = target_python_sdk.TargetClient
    create = client.create.__func__

    def with_stand_in(cls: Any, options: Any = None, **keywords: Any) -> Any:
        if options:
            options = {**options, "transport": FakeTransport(by=answered)}
        return create(cls, options, **keywords)

    client.create = classmethod(with_stand_in)


class Outcomes(unittest.TestResult):
    """The outcome of each test by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.by_id: dict[str, str | None] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802  of unittest
        self.by_id[test.id()] = None

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        self.by_id[test.id()] = f"{err[0].__name__}: {err[1]}".splitlines()[0][:200]

    addFailure = addError  # noqa: N815


def run(checkout: Path, modules: list[str]) -> dict[str, str | None]:
    """Run the tests of modules and return their outcomes; a failed import counts by its name."""
    prepare(checkout)
    outcomes = Outcomes()
    for name in modules:
        try:
            module = importlib.import_module(name)
        except Exception as error:
            outcomes.by_id[name] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        else:
            unittest.defaultTestLoader.loadTestsFromModule(module).run(outcomes)
    return outcomes.by_id


def test_modules(checkout: Path) -> list[str]:
    """Return the names of the test modules of the three packages that have any."""
    folders = (checkout / package.__name__ / "tests" for package in PACKAGES)
    files = (file for folder in folders for file in sorted(folder.glob("test_*.py")))
    return [".".join(file.relative_to(checkout).with_suffix("").parts) for file in files]


if __name__ == "__main__":
    place = Path(sys.argv[1]).resolve()
    output, sys.stdout = sys.stdout, io.StringIO()
    json.dump(run(place, test_modules(place)), output, indent=1)
