"""Event store of an edge, in SQLite: recording, sums for reports, retention."""
