"""Commands `targetry activities …`: activities as code."""
