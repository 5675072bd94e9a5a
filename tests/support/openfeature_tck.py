"""Location of the data of OpenFeature's provider TCK."""

from pathlib import Path

TCK = Path(__file__).parents[3] / "shared" / "conformance" / "openfeature-tck"
