"""The official import name of what Adobe Target's Python SDK shares among its packages, here for `targetry`."""
