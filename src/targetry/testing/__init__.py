"""Tools for tests of code that uses a client.

- `FakeTransport`, `AsyncFakeTransport`, `answer`: responses of a script in place of the network.
- `activity`, `artifact`: builders of rule artifacts.
- `double`, `TargetTestCase`: a double of Target for all clients of the process.
- `edge`: a local edge on a free port.
"""

from targetry.http.protocol import HttpRequest, HttpResponse
from targetry.testing.artifact_builder import DEFAULT, ActivityBuilder, activity, artifact
from targetry.testing.double import TargetDouble, TargetTestCase, double
from targetry.testing.double_state import Exposure
from targetry.testing.local_edge import EdgeArguments, edge
from targetry.testing.transports import (
    Asked,
    AsyncFakeTransport,
    FakeTransport,
    answer,
)

__all__ = [
    "DEFAULT",
    "ActivityBuilder",
    "Asked",
    "AsyncFakeTransport",
    "EdgeArguments",
    "Exposure",
    "FakeTransport",
    "HttpRequest",
    "HttpResponse",
    "TargetDouble",
    "TargetTestCase",
    "activity",
    "answer",
    "artifact",
    "double",
    "edge",
]
