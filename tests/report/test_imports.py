"""The ledger and its reports work without the edge and without the packages of the edge."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

from support.python_process import environment


def packages_of(extra: str) -> set[str]:
    """Return the packages that an extra of this distribution installs."""
    found = map(Requirement, requires("targetry") or ())
    return {one.name for one in found if one.marker and one.marker.evaluate({"extra": extra})}


MODULES = {"prometheus-client": "prometheus_client"}
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r} or (name + ".").startswith("targetry.edge."):
            raise ModuleNotFoundError("hidden: " + name, name=name)

sys.meta_path.insert(0, Hidden())
"""
RECORD_AND_REPORT = """
from support.ledger import ACTIVITY, outcome
from targetry.cli import main
from targetry.ledger.ledger import Ledger
from targetry.ledger.retention import Retention, prune
from pathlib import Path

with Ledger.open("data") as ledger:
    ledger.describe([ACTIVITY])
    ledger.record([*outcome("0", 40, 10), *outcome("1", 40, 20)])
prune(Path("data"), Retention(keep_days=36_500))
sys.argv = ["targetry", "report", "--data", "data", "--plot", "rates.svg"]
main()
"""


def test_report_needs_neither_edge_nor_its_packages(tmp_path: Path) -> None:
    only_edge = packages_of("edge") - packages_of("report")
    assert "starlette" in only_edge
    hidden = {MODULES.get(name, name) for name in only_edge}
    done = subprocess.run(
        [sys.executable, "-c", HIDE.format(hidden=hidden) + RECORD_AND_REPORT],
        cwd=tmp_path,
        env=environment(COLUMNS="100"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "30 conversions" in done.stdout
    assert (tmp_path / "rates.svg").stat().st_size > 1000
