"""Switch of the soak tests, which take minutes: only `TARGETRY_SOAK=1 pytest tests/soak` collects them."""

import os

collect_ignore_glob = [] if os.environ.get("TARGETRY_SOAK") else ["*"]
