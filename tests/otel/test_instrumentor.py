"""Instrumentation without a change of the program's code."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from otel.conftest import ON_DEVICE, Make, Telemetry
from support.python_process import environment
from targetry.otel.instrumentor import TargetryInstrumentor

HERO = {"execute": {"mboxes": [{"index": 0, "name": "hero"}]}}


def test_entry_point_leads_to_the_instrumentor() -> None:
    (found,) = [one for one in entry_points(group="opentelemetry_instrumentor") if one.name == "targetry"]
    assert found.load() is TargetryInstrumentor


def test_instrumented_clients_export_until_instrumentation_ends(make: Make, telemetry: Telemetry) -> None:
    instrumentor = TargetryInstrumentor()
    before = make(**ON_DEVICE)
    instrumentor.instrument(
        logger_provider=telemetry.logger_provider, meter_provider=telemetry.meter_provider
    )
    try:
        instrumented = make(**ON_DEVICE)
        has_own = make(telemetry.hook(events="none"), **ON_DEVICE)
    finally:
        instrumentor.uninstrument()
    after = make(**ON_DEVICE)
    exported = []
    for any_client in (before, instrumented, has_own, after):
        any_client.get_offers(request=HERO)
        exported.append(len(telemetry.events))
    assert exported == [0, 1, 1, 1]


PROGRAM = """
from targetry import TargetClient, samples

with TargetClient.create(
    client="acme", organization_id="1@AdobeOrg", decisioning_method="on-device", artifact_payload=samples.shop(),
    polling_interval=0, send_notification_func=lambda _: None,
) as client:
    client.get_offers(request={"execute": {"mboxes": [{"index": 0, "name": "hero"}]}})
"""


def test_command_instruments_a_program_that_knows_nothing_of_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    exporters: Any = {f"OTEL_{signal}_EXPORTER": "console" for signal in ("LOGS", "METRICS", "TRACES")}
    done = subprocess.run(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, program],
        env=environment(**exporters),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"event_name": "feature_flag.evaluation"' in done.stdout
    assert '"feature_flag.key": "hero"' in done.stdout
    assert '"name": "targetry.evaluations"' in done.stdout
