from __future__ import annotations

from targetry import DeliveryRequest, ExecuteRequest, MboxRequest, TargetClient
from targetry.edge.in_process import LocalEdge
from targetry.pytest_plugin import target_edge

__all__ = ["target_edge"]


def test_fixture_is_an_edge_of_one_test(target_edge: LocalEdge) -> None:
    request = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero")]))
    with TargetClient.create(**target_edge.client_options()) as client:
        assert client.get_offers({"request": request})["response"].client == target_edge.client
    assert [event.kind for event in target_edge.events] == ["impression"]
