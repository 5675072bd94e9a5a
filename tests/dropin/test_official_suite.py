"""Adobe's own unit tests pass, but for those that are listed here with the reason.

They are not part of this repository: `TARGETRY_OFFICIAL_CHECKOUT` names the folder of a checkout of
https://github.com/adobe/target-python-sdk, and without it the comparison is skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dropin import official_suite

CHECKOUT = os.environ.get("TARGETRY_OFFICIAL_CHECKOUT", "")
DEVICE = "target_python_sdk.tests.test_decisioning.TestTargetClientDecisioning."
CLIENT = "target_python_sdk.tests.test_init.TestTargetClient."
EXECUTION = "target_python_sdk.tests.test_execution.TestTargetClientExecution."
ENGINE = "target_decisioning_engine.tests.test_init.TestTargetDecisioningEngine."
LOGGER = "target_tools.tests.test_logger.TestLogger."

INTERNAL = "tests a part of the package that Targetry does not have"
PATCHED = "patches a part of the package that Targetry does not have"
SDID = "sends a supplemental data id that the API refuses"
NULL = "has a null in its mboxes, which is the first thing that is wrong"

# id of a test, or name of a module that cannot be imported → why it fails
EXPECTED = {
    f"{DEVICE}test_client_preemptively_fetches_target_location_hint": "create asks for the artifact only",
    f"{DEVICE}test_client_recovers_if_location_hint_request_fails": PATCHED,
    f"{DEVICE}test_client_uses_location_hint_from_config": "cookies have max_age too",
    f"{DEVICE}test_create_decisioning_method_on_device": "the engine of a client has no get_offers",
    f"{EXECUTION}test_get_offers_hybrid_does_remote_request_if_necessary": "meta says who really decided",
    f"{CLIENT}test_get_offers_async": SDID,
    f"{CLIENT}test_get_offers_async_error": SDID,
    f"{CLIENT}test_get_offers_customer_ids": SDID,
    f"{CLIENT}test_get_offers_execute": SDID,
    f"{CLIENT}test_get_offers_prefetch": SDID,
    f"{CLIENT}test_get_offers_sync": SDID,
    f"{CLIENT}test_get_offers_sync_error": SDID,
    f"{CLIENT}test_get_offers_target_cookie": SDID,
    f"{CLIENT}test_get_offers_with_trace": PATCHED,
    f"{CLIENT}test_get_offers_invalid_callback": NULL,
    f"{CLIENT}test_get_offers_invalid_prefetch": NULL,
    f"{ENGINE}test_get_offers_unsupported_artifact_version": "such an artifact is refused when it arrives",
    f"{ENGINE}test_initialize": INTERNAL,
    f"{ENGINE}test_initialize_error_fetching_artifact": PATCHED,
    f"{ENGINE}test_initialize_updates_artifact_on_polling_interval": PATCHED,
    f"{LOGGER}test_get_logger_default": "levels of logging are left to the application",
    f"{LOGGER}test_get_logger_custom": "no logger is shared by the whole process",
    "target_tools.tests.test_client_info": INTERNAL,
    "target_tools.tests.test_thread_manager": INTERNAL,
    "target_decisioning_engine.tests.test_allocation_provider": INTERNAL,
    "target_decisioning_engine.tests.test_artifact_provider": INTERNAL,
    "target_decisioning_engine.tests.test_context_provider": INTERNAL,
    "target_decisioning_engine.tests.test_decisioning": "its cases are run by tests/conformance",
    "target_decisioning_engine.tests.test_geo_provider": INTERNAL,
    "target_decisioning_engine.tests.test_helpers": INTERNAL,
    "target_decisioning_engine.tests.test_notification_provider": INTERNAL,
    "target_decisioning_engine.tests.test_request_provider": INTERNAL,
    "target_decisioning_engine.tests.test_utils": INTERNAL,
}
MAY_PASS = {SDID, INTERNAL}  # not in every version of the tests


def outcomes(checkout: Path) -> dict[str, str | None]:
    command = [sys.executable, official_suite.__file__, str(checkout)]
    path = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=environment)
    read: dict[str, str | None] = json.loads(done.stdout)
    return read


def test_checkout_is_run_and_a_test_that_fails_is_reported_by_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "target_tools" / "tests"
    folder.mkdir(parents=True)
    (folder / "test_broken.py").write_text("import target_tools.hashing\n")
    (folder / "test_small.py").write_text(SMALL)
    assert outcomes(tmp_path) == {
        "target_tools.tests.test_broken": "ModuleNotFoundError: No module named 'target_tools.hashing'",
        "target_tools.tests.test_small.TestSmall.test_response": None,
        "target_tools.tests.test_small.TestSmall.test_artifact": None,
        "target_tools.tests.test_small.TestSmall.test_execute": None,
        "target_tools.tests.test_small.TestSmall.test_wrong": "AssertionError: 1 != 2",
    }


SMALL = """
import json, unittest
from unittest.mock import Mock, patch
from urllib3 import PoolManager
from urllib3_mock import Responses
from delivery_api_client import DeliveryApi, DeliveryRequest, DeliveryResponse, ExecuteRequest, MboxRequest
from target_python_sdk import TargetClient

responses = Responses("requests.packages.urllib3")
OPTIONS = {"client": "acme", "organization_id": "1@AdobeOrg"}
REQUEST = DeliveryRequest(execute=ExecuteRequest(mboxes=[MboxRequest(name="hero", index=1)]))
ARTIFACT = {"version": "1.0.0", "localMboxes": ["hero"], "rules": {"mboxes": {}, "views": {}}}

class TestSmall(unittest.TestCase):
    def ask(self, **options):
        return TargetClient.create({**OPTIONS, **options}).get_offers({"request": REQUEST})["response"]

    @responses.activate
    def test_response(self):
        responses.add("POST", "/rest/v1/delivery", body='{"status": 201}')
        self.assertEqual(self.ask().status, 201)
        self.assertEqual(len(responses.calls), 1)

    def test_execute(self):
        with patch.object(DeliveryApi, "execute", return_value=DeliveryResponse(status=202)) as execute:
            self.assertEqual(self.ask().status, 202)
            self.assertEqual(execute.call_args[0][2].execute.mboxes[0].name, "hero")

    def test_artifact(self):
        found = Mock(status=200, data=json.dumps(ARTIFACT).encode(), headers={})
        with patch.object(PoolManager, "request", return_value=found):
            self.assertEqual(self.ask(decisioning_method="on-device", polling_interval=0).status, 200)
        with patch("target_decisioning_engine.artifact_provider.urllib3.PoolManager") as manager:
            manager.return_value.request.return_value = found
            self.assertEqual(self.ask(decisioning_method="on-device", polling_interval=0).status, 200)

    def test_wrong(self):
        self.assertEqual(1, 2)
"""


@pytest.mark.skipif(not CHECKOUT, reason="TARGETRY_OFFICIAL_CHECKOUT names no checkout of Adobe's tests")
def test_adobes_tests_pass_except_listed_ones() -> None:
    found = outcomes(Path(CHECKOUT).resolve())
    assert found
    failed = {name for name, error in found.items() if error is not None}
    assert {name: found[name] for name in failed - EXPECTED.keys()} == {}
    assert [name for name in found.keys() - failed if EXPECTED.get(name) not in (None, *MAY_PASS)] == []
