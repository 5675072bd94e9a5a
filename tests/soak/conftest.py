"""Nothing here is part of the ordinary run: it takes minutes. `TARGETRY_SOAK=1 pytest tests/soak` runs it."""

import os

collect_ignore_glob = [] if os.environ.get("TARGETRY_SOAK") else ["*"]
