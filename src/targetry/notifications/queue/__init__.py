"""Queue of notifications that are not settled: bounds, batches, hosts and counters; no I/O."""
