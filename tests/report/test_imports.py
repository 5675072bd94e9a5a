"""The ledger and its reports work without the edge and without the packages of the edge."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
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
        if name.partition(".")[0] in {packages!r} or {module!r} in (name, name.rpartition(".")[0]):
            raise ModuleNotFoundError("hidden: " + name, name=name)

sys.meta_path.insert(0, Hidden())
"""
RECORD = """
from pathlib import Path
from support.ledger import ACTIVITY, outcome
from targetry.ledger.ledger import Ledger
from targetry.ledger.retention import Retention, prune

with Ledger.open("data") as ledger:
    ledger.describe([ACTIVITY])
    ledger.record([*outcome("0", 40, 10), *outcome("1", 40, 20)])
prune(Path("data"), Retention(keep_days=36_500))
"""
REPORT = """
from targetry.ledger.reader import Reader
from targetry.report.plot import write_plot
from targetry.report.report import report_on_ledger

with Reader.open("data") as reader:
    made = report_on_ledger(reader)
write_plot(made, Path("rates.svg"))
print(sum(one.conversions for one in made.activities), "conversions")
"""
COMMAND = """
from targetry.cli import main
sys.argv = ["targetry", "report", "--data", "data", "--plot", "rates.svg"]
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "program"),
    [
        pytest.param("targetry.edge", REPORT, id="modules"),
        pytest.param("no module", COMMAND, id="command"),
    ],
)
def test_report_needs_neither_edge_nor_its_packages(tmp_path: Path, module: str, program: str) -> None:
    only_edge = packages_of("edge") - packages_of("report")
    assert "starlette" in only_edge
    hidden = HIDE.format(packages={MODULES.get(name, name) for name in only_edge}, module=module)
    done = subprocess.run(
        [sys.executable, "-c", hidden + RECORD + program],
        cwd=tmp_path,
        env=environment(COLUMNS="100"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "30 conversions" in done.stdout
    assert (tmp_path / "rates.svg").stat().st_size > 1000
