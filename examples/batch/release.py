"""Release of an artifact, checked with last month's visitors before it goes out.

Cells start with `# %%`, so editors open the file as a notebook. `python release.py` runs all of it.
"""

# %% The visits: here made up, otherwise `Path("visits/*.parquet")`
import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from targetry import samples
from targetry.batch import Decider, diff, forecast, write

rng = random.Random(7)
COUNT = 20_000
visits = pa.table(
    {
        "tnt_id": [f"{rng.getrandbits(64):016x}" for _ in range(COUNT)],
        "country_code": rng.choices(["DE", "US", None], [5, 3, 1], k=COUNT),
        "mbox.member.tier": rng.choices(["gold", "silver", None], [1, 2, 7], k=COUNT),
    }
)

# %% What the rules read: columns that are missing look like visitors who do not match
live = samples.shop()
decider = Decider(live, client="acme", mboxes=["hero"])
print("reads", decider.reads)

# %% How many visitors each experience has, and whether the split is as wanted
expected = forecast(visits, live, client="acme", mboxes=["hero"])
for activity in expected.activities:
    for one in activity.experiences:
        print(activity.activity_name, one.experience_name, f"{one.share:.1f} %", one.expected_share)

# %% What changes for whom after the release: new content, and no visitor moves
released = samples.shop()
for rule in released["rules"]["mboxes"]["hero"]:
    rule["consequence"]["options"][0]["content"] += "<!-- new -->"
changes = diff(visits, live, released, client="acme", mboxes=["hero"])
for change in changes.changes:
    print(change.location, change.kind, change.cause, f"{change.share:.1f} %", change.examples[:1])
assert changes.share_changed(allow=["content"]) == 0, "visitors move to another experience"

# %% The assignments for the warehouse
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "exposures.parquet")
    night = datetime(2026, 12, 1, tzinfo=UTC)  # without it, of the column `time`
    written = write(visits, path, released, client="acme", mboxes=["hero"], as_of=night, as_exposures=True)
    print(written.rows_written, "assignments,", written.stats.rows_with_error, "rows with an error")
